//! Owns the expansion of templates: from the tree to the text.

use std::collections::BTreeMap;

use super::ast::{Base, Branch, Command, Node, Operand, Pipeline};
use super::error::{Fault, TemplateError};
use super::scope::{BYTES_MAX, Scope};
use super::value::Value;
use super::{TemplateContext, builtins, clock, functions};

/// What comes after a node.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Break,
    Continue,
}

struct Expansion<'e> {
    named: &'e BTreeMap<String, Vec<Node>>,
    scope: Scope<'e>,
    written: String,
}

/// Expands a template that was read.
pub(super) fn expand(
    text: &str,
    main: &[Node],
    named: &BTreeMap<String, Vec<Node>>,
    context: &TemplateContext<'_>,
) -> Result<String, TemplateError> {
    let mut expansion = Expansion { named, scope: Scope::new(context), written: String::new() };
    let walked = expansion.walk(main, &Value::Root);
    walked.map_err(|fault| TemplateError::of(text, fault))?;
    Ok(expansion.written)
}

// === impl Expansion ===

impl Expansion<'_> {
    fn walk(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, Fault> {
        for node in nodes {
            let flow = match node {
                Node::Text(text) => self.write(text, 0).map(|()| Flow::On),
                Node::Action(pipeline) => self.action(pipeline, dot),
                Node::If(branch) => self.branch(branch, dot, false),
                Node::With(branch) => self.branch(branch, dot, true),
                Node::Range(branch) => self.range(branch, dot),
                Node::Call { name, argument, offset } => {
                    let argument = match argument {
                        Some(pipeline) => self.pipeline(pipeline, dot)?,
                        None => Value::Nil,
                    };
                    self.call(name, &argument, *offset).map(|()| Flow::On)
                }
                Node::Break => Ok(Flow::Break),
                Node::Continue => Ok(Flow::Continue),
            }?;
            if flow != Flow::On {
                return Ok(flow);
            }
        }
        Ok(Flow::On)
    }

    fn write(&mut self, text: &str, offset: usize) -> Result<(), Fault> {
        if self.written.len() + text.len() > BYTES_MAX {
            return Err(Fault::new(offset, format!("template expands to more than {BYTES_MAX} bytes")));
        }
        self.written.push_str(text);
        Ok(())
    }

    fn action(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Flow, Fault> {
        let value = self.pipeline(pipeline, dot)?;
        if pipeline.variables.is_empty() {
            self.write(&value.shown(), pipeline.offset)?;
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, branch: &Branch, dot: &Value, moves_dot: bool) -> Result<Flow, Fault> {
        let mark = self.scope.mark();
        let value = self.pipeline(&branch.pipeline, dot)?;
        self.scope.sink(branch.pipeline.offset)?;
        let flow = if value.truth() {
            self.walk(&branch.body, if moves_dot { &value } else { dot })
        } else {
            self.walk(&branch.otherwise, dot)
        };
        self.scope.rise();
        self.scope.forget(mark);
        flow
    }

    fn range(&mut self, branch: &Branch, dot: &Value) -> Result<Flow, Fault> {
        let offset = branch.pipeline.offset;
        let outer = self.scope.mark();
        let over = self.pipeline_value(&branch.pipeline, dot)?;
        self.scope.sink(offset)?;
        let text = |text: &str| Value::text(text);
        let items: Box<dyn Iterator<Item = (Value, Value)>> = match &over {
            Value::Nil => Box::new(std::iter::empty()),
            Value::List(list) => {
                Box::new(list.iter().enumerate().map(|(idx, one)| (Value::Int(idx as i64), one.clone())))
            }
            Value::Labels(labels) => Box::new(labels.iter().map(|(name, value)| (text(name), text(value)))),
            Value::Map(map) => Box::new(map.iter().map(|(name, value)| (text(name), value.clone()))),
            Value::Int(count) => Box::new((0..*count).map(|idx| (Value::Int(idx), Value::Int(idx)))),
            other => {
                let message = format!("range can't iterate over {}", other.written());
                return Err(Fault::new(offset, message));
            }
        };
        let mut is_empty = true;
        for (index, item) in items {
            is_empty = false;
            self.scope.step(offset)?;
            let inner = self.scope.mark();
            self.take_turn(&branch.pipeline, &index, &item);
            let flow = self.walk(&branch.body, &item)?;
            self.scope.forget(inner);
            if flow == Flow::Break {
                break;
            }
        }
        let flow = if is_empty { self.walk(&branch.otherwise, dot)? } else { Flow::On };
        self.scope.rise();
        self.scope.forget(outer);
        Ok(flow)
    }

    /// Sets the variables of a `range` for one turn.
    fn take_turn(&mut self, pipeline: &Pipeline, index: &Value, item: &Value) {
        let values = if pipeline.variables.len() == 1 { vec![item] } else { vec![index, item] };
        for (name, value) in pipeline.variables.iter().zip(values) {
            if pipeline.assigns {
                self.scope.assign(name, value.clone());
            } else {
                self.scope.declare(name, value.clone());
            }
        }
    }

    fn call(&mut self, name: &str, argument: &Value, offset: usize) -> Result<(), Fault> {
        let Some(nodes) = self.named.get(name) else {
            return Err(Fault::new(offset, format!("template `{name}` is not defined")));
        };
        self.scope.step(offset)?;
        self.scope.sink(offset)?;
        let outer = self.scope.enter(argument);
        let walked = self.walk(nodes, argument);
        self.scope.leave(outer);
        self.scope.rise();
        walked.map(|_| ())
    }

    /// `tmpl "name" value`: what the template expands to.
    fn called_text(&mut self, name: &str, argument: &Value, offset: usize) -> Result<Value, Fault> {
        let outer = std::mem::take(&mut self.written);
        let called = self.call(name, argument, offset);
        let inner = std::mem::replace(&mut self.written, outer);
        called.map(|()| Value::text(inner))
    }

    /// The value of a pipeline; what it declares is declared.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Fault> {
        let value = self.pipeline_value(pipeline, dot)?;
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.scope.assign(name, value.clone());
            } else {
                self.scope.declare(name, value.clone());
            }
        }
        Ok(value)
    }

    fn pipeline_value(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, Fault> {
        self.scope.sink(pipeline.offset)?;
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        self.scope.rise();
        Ok(last.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &Command, dot: &Value, last: Option<Value>) -> Result<Value, Fault> {
        let Some((first, rest)) = command.operands.split_first() else { return Ok(Value::Nil) };
        self.scope.step(first.offset)?;
        if let (Base::Function(name), true) = (&first.base, first.fields.is_empty()) {
            return self.function(name, rest, dot, last, first.offset);
        }
        let method = first.fields.split_last().filter(|_| !rest.is_empty() || last.is_some());
        if let Some((method, fields)) = method {
            let base = self.base(first, dot)?;
            let owner = self.fields(base, fields, first.offset)?;
            let mut arguments = self.operands(rest, dot)?;
            arguments.extend(last);
            return invoke(&owner, method, &arguments, first.offset);
        }
        if !rest.is_empty() || last.is_some() {
            let message = "can't give argument to non-function".to_owned();
            return Err(Fault::new(first.offset, message));
        }
        if matches!(first.base, Base::Nil) {
            return Err(Fault::new(first.offset, "nil is not a command"));
        }
        self.operand(first, dot)
    }

    fn function(
        &mut self,
        name: &str,
        rest: &[Operand],
        dot: &Value,
        last: Option<Value>,
        offset: usize,
    ) -> Result<Value, Fault> {
        // These look at no more arguments than they have to.
        if matches!(name, "and" | "or") {
            let mut found = None;
            for operand in rest {
                let value = self.operand(operand, dot)?;
                let decided = value.truth() == (name == "or");
                found = Some(value);
                if decided {
                    return Ok(found.unwrap_or(Value::Nil));
                }
            }
            let found = last.or(found);
            return found.ok_or_else(|| {
                Fault::new(offset, format!("wrong number of args for {name}: want at least 1 got 0"))
            });
        }
        let mut arguments = self.operands(rest, dot)?;
        arguments.extend(last);
        if name == "tmpl" {
            return match arguments.as_slice() {
                [Value::Text(name), argument] => self.called_text(name, argument, offset),
                _ => Err(Fault::new(offset, "`tmpl` takes the name of a template and a value")),
            };
        }
        let value = match builtins::call(name, &arguments) {
            Some(value) => value,
            None => functions::call(name, &arguments, &mut self.scope),
        };
        let value =
            value.map_err(|message| Fault::new(offset, format!("error calling {name}: {message}")))?;
        self.scope.made(offset, &value)?;
        Ok(value)
    }

    fn operands(&mut self, operands: &[Operand], dot: &Value) -> Result<Vec<Value>, Fault> {
        operands.iter().map(|operand| self.operand(operand, dot)).collect()
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Fault> {
        let base = self.base(operand, dot)?;
        self.fields(base, &operand.fields, operand.offset)
    }

    fn base(&mut self, operand: &Operand, dot: &Value) -> Result<Value, Fault> {
        Ok(match &operand.base {
            Base::Dot => dot.clone(),
            Base::Nil => Value::Nil,
            Base::Bool(truth) => Value::Bool(*truth),
            Base::Int(number) => Value::Int(*number),
            Base::Float(number) => Value::Float(*number),
            Base::Text(text) => Value::text(text.as_str()),
            Base::Variable(name) => self.scope.get(name),
            Base::Function(name) => self.function(name, &[], dot, None, operand.offset)?,
            Base::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
        })
    }

    fn fields(&self, value: Value, fields: &[String], offset: usize) -> Result<Value, Fault> {
        fields.iter().try_fold(value, |value, field| self.field(&value, field, offset))
    }

    fn field(&self, value: &Value, field: &str, offset: usize) -> Result<Value, Fault> {
        let context = self.scope.context;
        Ok(match (value, field) {
            (Value::Root, "Labels") => Value::Labels(context.labels.clone()),
            (Value::Root, "ExternalLabels") => Value::Labels(context.external_labels.clone()),
            (Value::Root, "ExternalURL") => Value::text(context.external_url),
            (Value::Root, "Value") => Value::Float(context.value),
            (Value::Labels(labels), name) => Value::text(labels.get(name).unwrap_or_default()),
            (Value::Map(map), name) => map.get(name).cloned().unwrap_or(Value::Nil),
            (Value::Sample(sample), "Labels") => Value::Labels(sample.labels.clone()),
            (Value::Sample(sample), "Value") => Value::Float(sample.value),
            (Value::Nil, name) => {
                return Err(Fault::new(offset, format!("nil has no field `{name}`")));
            }
            (Value::Time(_) | Value::Length(_), name) => return invoke(value, name, &[], offset),
            (other, name) => {
                let message = format!("can't evaluate field {name} in type {}", other.type_name());
                return Err(Fault::new(offset, message));
            }
        })
    }
}

/// Calls a method: only moments and lengths have some.
fn invoke(owner: &Value, method: &str, arguments: &[Value], offset: usize) -> Result<Value, Fault> {
    let found = match (owner, method, arguments) {
        (Value::Time(seconds), "Format", [Value::Text(layout)]) => {
            clock::by_layout(*seconds, layout).map(Value::text)
        }
        (Value::Time(seconds), "UTC", []) => Some(Value::Time(*seconds)),
        (Value::Time(seconds), "String", []) => clock::shown(*seconds).map(Value::text),
        (Value::Time(seconds), "Month" | "Weekday", []) => clock::name(*seconds, method).map(Value::text),
        (Value::Time(seconds), _, []) => clock::part(*seconds, method).map(Value::Int),
        (Value::Length(nanoseconds), "String", []) => Some(Value::text(clock::length_shown(*nanoseconds))),
        (Value::Length(nanoseconds), "Seconds", []) => Some(Value::Float(*nanoseconds as f64 / 1e9)),
        (Value::Length(nanoseconds), "Minutes", []) => Some(Value::Float(*nanoseconds as f64 / 6e10)),
        (Value::Length(nanoseconds), "Hours", []) => Some(Value::Float(*nanoseconds as f64 / 3.6e12)),
        _ => None,
    };
    found.ok_or_else(|| {
        let message = match owner {
            Value::Time(_) | Value::Length(_) => format!("no method `{method}` with these arguments"),
            _ => format!("`{method}` has arguments but cannot be invoked as function"),
        };
        Fault::new(offset, message)
    })
}
