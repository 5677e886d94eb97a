//! Owns what the kernel knows of how right its clock is: nobody else can be asked for that, and it takes an `unsafe` call.

/// How the kernel's clock is held to the right time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDiscipline {
    /// Whether something, such as NTP, holds the clock to the right time.
    pub is_synchronized: bool,
    /// By how much the clock is still to be moved, in nanoseconds.
    pub offset_ns: i64,
    /// How wrong it may be, in microseconds, as whoever holds it says.
    pub max_error_us: i64,
    /// How wrong it is expected to be, in microseconds.
    pub estimated_error_us: i64,
    /// By how much its speed is corrected, in parts per million and 65,536ths of them.
    pub frequency_ppm_16: i64,
}

// === impl ClockDiscipline ===

impl ClockDiscipline {
    /// As the kernel says it now. Nothing is changed.
    ///
    /// # Errors
    /// When the kernel does not say, such as in a sandbox.
    pub fn now() -> std::io::Result<Self> {
        /// The clock is not held by anybody (`STA_UNSYNC`), and its offset is in nanoseconds (`STA_NANO`).
        const UNSYNCHRONIZED: i32 = 0x40;
        const NANOSECONDS: i32 = 0x2000;
        let (code, asked) = ask();
        if code < 0 {
            return Err(std::io::Error::last_os_error());
        }
        let unit = if asked.status & NANOSECONDS == 0 { 1000 } else { 1 };
        Ok(Self {
            is_synchronized: asked.status & UNSYNCHRONIZED == 0,
            offset_ns: asked.offset.saturating_mul(unit),
            max_error_us: asked.maxerror,
            estimated_error_us: asked.esterror,
            frequency_ppm_16: asked.freq,
        })
    }
}

#[expect(unsafe_code, reason = "no library has this call, and the structure is plain numbers")]
fn ask() -> (i32, libc::timex) {
    // SAFETY: all fields are integers, for which zeros are a value; `modes` 0 asks and sets nothing; the kernel writes only into
    // the structure, which lives until the call is over.
    unsafe {
        let mut asked: libc::timex = std::mem::zeroed();
        let code = libc::adjtimex(&raw mut asked);
        (code, asked)
    }
}

#[cfg(test)]
mod tests {
    use super::ClockDiscipline;

    #[test]
    fn the_kernel_says_how_right_its_clock_is() {
        match ClockDiscipline::now() {
            Ok(now) => assert!(now.max_error_us >= 0 && now.estimated_error_us >= 0, "{now:?}"),
            Err(error) => println!("SKIPPED: this kernel does not say: {error}"),
        }
    }
}
