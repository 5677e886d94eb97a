//! Owns the tree of a template: texts, actions and what they are made of.

/// A piece of a template.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(String),
    /// Writes the value of a pipeline, or declares a variable.
    Action(Pipeline),
    If(Branch),
    Range(Branch),
    With(Branch),
    /// Expands another template.
    Call {
        name: String,
        argument: Option<Pipeline>,
        offset: usize,
    },
    Break,
    Continue,
}

/// A condition or a list, and what is expanded for it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) pipeline: Pipeline,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

/// Commands, each of which gets the value of the one before as its last argument.
#[derive(Debug, Clone)]
pub(super) struct Pipeline {
    /// Variables that take the value: one, or two for the index and the element of a `range`.
    pub(super) variables: Vec<String>,
    /// They are there already: `=` in place of `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
    pub(super) offset: usize,
}

/// A function or value, and its arguments.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
}

/// A value, and the fields that are taken of it.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) base: Base,
    pub(super) fields: Vec<String>,
    pub(super) offset: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Base {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// The name without its `$`; empty for `$` itself.
    Variable(String),
    Function(&'static str),
    Pipeline(Box<Pipeline>),
}

// === impl Operand ===

impl Operand {
    /// Whether it is `$value`, or `.Value` of the whole.
    pub(super) fn is_value(&self) -> bool {
        match &self.base {
            Base::Variable(name) => name == "value" || (name.is_empty() && self.takes_value()),
            Base::Dot => self.takes_value(),
            _ => false,
        }
    }

    fn takes_value(&self) -> bool {
        self.fields.first().is_some_and(|field| field == "Value")
    }
}

/// Tells whether any operand passes.
pub(super) fn any_operand(nodes: &[Node], test: &dyn Fn(&Operand) -> bool) -> bool {
    let in_branch = |branch: &Branch| {
        in_pipeline(&branch.pipeline, test)
            || any_operand(&branch.body, test)
            || any_operand(&branch.otherwise, test)
    };
    nodes.iter().any(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => false,
        Node::Action(pipeline) => in_pipeline(pipeline, test),
        Node::If(branch) | Node::Range(branch) | Node::With(branch) => in_branch(branch),
        Node::Call { argument, .. } => argument.iter().any(|pipeline| in_pipeline(pipeline, test)),
    })
}

fn in_pipeline(pipeline: &Pipeline, test: &dyn Fn(&Operand) -> bool) -> bool {
    pipeline.commands.iter().flat_map(|command| &command.operands).any(|operand| {
        test(operand)
            || match &operand.base {
                Base::Pipeline(inner) => in_pipeline(inner, test),
                _ => false,
            }
    })
}
