//! Owns a real browser for tests: Chromium, led by its driver, which speaks WebDriver: JSON over HTTP, so that no library
//! is needed. Where there is none, tests say so and pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installed::installed;
use crate::poll::eventually;
use crate::site::{EXE, block_on, clean, free_port};

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Keys that have no letter.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";

/// A browser with one page.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    profile: TempDir,
}

/// How often Chromium is started.
const START_TRIES: u32 = 3;

// === impl Browser ===

impl Browser {
    /// Starts it; none where Chromium or its driver is missing, which is said.
    pub(crate) fn start() -> Option<Self> {
        let found = |name: &str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
        };
        let (Some(driver), Some(chromium)) = (found("chromedriver"), found("chromium")) else {
            println!(
                "SKIPPED: there is no chromium with its driver (apt-get install chromium chromium-driver)"
            );
            return None;
        };
        probe::install_crypto();
        let profile = tempfile::Builder::new().prefix("paramedic-browser-").tempdir().unwrap();
        let port = free_port();
        let mut command = Command::new(driver);
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        clean(&mut command, profile.path());
        let driver = command.spawn().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut browser =
            Self { driver, session: String::new(), client: reqwest::Client::new(), runtime, profile };
        let base = format!("http://127.0.0.1:{port}");
        eventually("the driver of the browser answers", || {
            let status =
                browser.runtime.block_on(browser.client.get(format!("{base}/status")).send()).ok()?;
            status.status().is_success().then_some(())
        });
        let data = browser.profile.path().join("profile");
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            format!("--user-data-dir={}", data.display()),
        ];
        // Chromium's own sandbox refuses to work for root.
        if rustix::process::geteuid().is_root() {
            arguments.push("--no-sandbox".to_owned());
        }
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        // On a machine that is busy Chromium ends at its start now and then: that is not what is tested.
        let mut last = Value::Null;
        let made = (0..START_TRIES).find_map(|_| {
            last = browser.answer(&format!("{base}/session"), &capabilities);
            last["value"]["sessionId"].as_str().map(str::to_owned)
        });
        let id = made.unwrap_or_else(|| panic!("Chromium does not start: {last}"));
        browser.session = format!("{base}/session/{id}");
        browser.wide();
        Some(browser)
    }

    #[track_caller]
    fn ask(&self, url: &str, body: &Value) -> Value {
        let answer = self.answer(url, body);
        let problem = answer["value"]["error"].as_str();
        assert!(problem.is_none(), "{url}: {answer}");
        answer["value"].clone()
    }

    fn answer(&self, url: &str, body: &Value) -> Value {
        self.runtime.block_on(async {
            let answer = self.client.post(url).json(body).send().await.unwrap();
            answer.json().await.unwrap()
        })
    }

    #[track_caller]
    fn post(&self, what: &str, body: &Value) -> Value {
        self.ask(&format!("{}/{what}", self.session), body)
    }

    fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.post("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// Goes to an address.
    pub(crate) fn go(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// Evaluates an expression in the page.
    #[track_caller]
    pub(crate) fn js(&self, expression: &str) -> Value {
        self.post("execute/sync", &json!({"script": format!("return {expression}"), "args": []}))
    }

    /// Waits until an expression is true in the page, whichever page that is by then.
    #[track_caller]
    pub(crate) fn until(&self, expression: &str) {
        eventually(&format!("`{expression}` in the browser"), || {
            let script = format!("try {{ return Boolean({expression}) }} catch {{ return false }}");
            (self.post("execute/sync", &json!({"script": script, "args": []})) == true).then_some(())
        });
    }

    /// The text of an element, once it is there.
    #[track_caller]
    pub(crate) fn text(&self, selector: &str) -> String {
        let element = format!("document.querySelector({selector:?})");
        self.until(&element);
        self.js(&format!("{element}.innerText")).as_str().unwrap().to_owned()
    }

    /// The element, once it is there.
    #[track_caller]
    fn find(&self, selector: &str) -> String {
        self.until(&format!("document.querySelector({selector:?})"));
        let found = self.post("element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    /// Clicks on an element, as a hand does.
    #[track_caller]
    pub(crate) fn click(&self, selector: &str) {
        // A page that changes at this moment may have another element in its place.
        eventually(&format!("{selector} takes a click"), || {
            let element = self.find(selector);
            let url = format!("{}/element/{element}/click", self.session);
            let answer = self.answer(&url, &json!({}));
            let is_gone = answer["value"]["error"] == "stale element reference";
            assert!(is_gone || answer["value"]["error"].is_null(), "{url}: {answer}");
            (!is_gone).then_some(())
        });
    }

    /// Types into an element.
    #[track_caller]
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses keys where the focus is.
    #[track_caller]
    pub(crate) fn press(&self, keys: &str) {
        let stroke =
            |key: char| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})];
        let strokes: Vec<Value> = keys.chars().flat_map(stroke).collect();
        self.post("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    /// Goes from one thing to the next by the keyboard until the focus is on this one.
    #[track_caller]
    pub(crate) fn tab_to(&self, selector: &str) {
        const TABS_MAX: usize = 200;
        self.until(&format!("document.querySelector({selector:?})"));
        for _ in 0..TABS_MAX {
            if self.js(&format!("document.activeElement.matches({selector:?})")) == true {
                return;
            }
            self.press(TAB);
        }
        panic!("the keyboard does not come to {selector}");
    }

    /// What pages have complained of since it was asked last; what a browser only remarks is none.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let all = self.post("se/log", &json!({"type": "browser"}));
        let grave = all
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| ["SEVERE", "WARNING"].contains(&one["level"].as_str().unwrap()));
        grave.map(|one| one["message"].as_str().unwrap().to_owned()).collect()
    }

    fn wide(&self) {
        self.screen(1280, 900, "light");
    }

    fn screen(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &media);
    }

    /// Keeps pictures of the page: on a desk and on a phone, by day and by night. Nothing may be wider than its screen.
    #[track_caller]
    pub(crate) fn pictures(&self, name: &str) {
        let folder = Path::new(EXE).ancestors().nth(2).unwrap().join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        for (width, height) in [(1280, 900), (390, 844)] {
            for scheme in ["light", "dark"] {
                self.screen(width, height, scheme);
                let widest = self.js("document.documentElement.scrollWidth").as_u64().unwrap();
                assert!(widest <= u64::from(width), "{name} is {widest} pixels wide on a screen of {width}");
                for (which, whole) in [("", false), ("-whole", true)] {
                    let shot =
                        self.devtools("Page.captureScreenshot", &json!({"captureBeyondViewport": whole}));
                    let path: PathBuf = folder.join(format!("{name}-{width}-{scheme}{which}.png"));
                    fs::write(path, base64(shot["data"].as_str().unwrap())).unwrap();
                }
            }
        }
        self.wide();
    }

    /// What the accessibility checker has against the page that is serious.
    #[track_caller]
    pub(crate) fn is_accessible(&self, name: &str) {
        let Some(axe) = installed("PARAMEDIC_TEST_NPM", "node_modules/axe-core/axe.min.js") else { return };
        for scheme in ["light", "dark"] {
            self.screen(1280, 900, scheme);
            let run = "axe.run().then((found) => arguments[0](found.violations.filter((one) => \
                ['serious', 'critical'].includes(one.impact)).map((one) => one.id + ': ' + one.help + ': ' + \
                one.nodes.map((node) => node.html).join(' '))), (error) => arguments[0]([String(error)]))";
            let script = format!("{}\n{run}", fs::read_to_string(&axe).unwrap());
            let found = self.post("execute/async", &json!({"script": script, "args": []}));
            assert_eq!(found, json!([]), "{name}, {scheme}");
        }
        self.wide();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with its session.
        if !self.session.is_empty() {
            let _ = self.runtime.block_on(self.client.delete(&self.session).send());
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// The bytes of a picture, as the driver writes them.
fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let values: Vec<u8> = text.bytes().filter_map(value).collect();
    let bytes = |four: &[u8]| {
        let bits =
            four.iter().fold(0_u32, |bits, value| bits << 6 | u32::from(*value)) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    values.chunks(4).flat_map(bytes).collect()
}

/// The status of an answer, its headers and its text.
pub(crate) fn plainly(request: reqwest::RequestBuilder) -> (u16, reqwest::header::HeaderMap, String) {
    block_on(async {
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.text().await.unwrap())
    })
}
