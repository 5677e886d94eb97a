//! Owns `paramedic demo`.

use drill::demo::{Afterwards, Demo};

use super::serve;
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

pub(super) fn run(keep: bool) -> Result<Code, Failure> {
    serve::log("off");
    let afterwards = if keep { Afterwards::Keep } else { Afterwards::Clean };
    let demo = Demo { exe: context::program()?, afterwards };
    demo.run(context::threaded_runtime()?, |line| show::live(&line)).map_err(Failure::no)?;
    Ok(Code::Done)
}
