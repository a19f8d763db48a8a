//! Functions: pure and deterministic.

use std::collections::BTreeSet;

use crate::erased::{AnyFunction, BoxFuture, Call, FunctionError, Parameter, Signature};
use crate::{Data, Model, Object, Path, Type, Value};

/// A function. Cores call it more than once and compare: no clock, no chance, no world.
pub trait Function: Send + Sync + 'static {
    /// Its parameters: the fields in order. A field that is `optional` takes null.
    type Arguments: Model;
    /// What it gives.
    type Output: Data;
    /// Its name, without the provider's.
    const NAME: &'static str;
    /// One line for the documentation.
    const SUMMARY: &'static str;
    /// Whether the last field, a `Vec`, takes all further arguments.
    const VARIADIC: bool = false;
    /// What to use instead, when deprecated.
    const DEPRECATED: Option<&'static str> = None;

    /// Calls it.
    ///
    /// # Errors
    /// What is wrong with which argument.
    fn call(&self, arguments: Self::Arguments) -> Result<Self::Output, FunctionError>;
}

impl FunctionError {
    /// An error of the whole call.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: None }
    }

    /// An error of one argument, counted from 0.
    pub fn of_argument(argument: i64, text: impl Into<String>) -> Self {
        Self { text: text.into(), argument: Some(argument) }
    }
}

/// What cores would refuse or crash on.
pub(crate) fn faults(signature: &Signature) -> Vec<String> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for parameter in signature.parameters.iter().chain(&signature.variadic) {
        if !names.insert(&parameter.name) {
            faults.push(format!("two parameters are named {}", parameter.name));
        }
    }
    faults
}

pub(crate) struct FunctionOf<F> {
    function: F,
    signature: Signature,
}

impl<F: Function> FunctionOf<F> {
    pub(crate) fn new(function: F) -> Self {
        let mut parameters: Vec<Parameter> = F::Arguments::attributes()
            .into_iter()
            .map(|attribute| Parameter {
                ty: attribute.ty(),
                name: attribute.name,
                allow_null: attribute.optional,
                allow_unknown: false,
                description: attribute.description,
            })
            .collect();
        let variadic = if F::VARIADIC { parameters.pop() } else { None }.map(|mut last| {
            if let Type::List(of) = last.ty {
                last.ty = *of;
            }
            last
        });
        let signature = Signature {
            parameters,
            variadic,
            returns: F::Output::kind().ty(),
            summary: F::SUMMARY.to_owned(),
            description: F::Arguments::description().to_owned(),
            deprecation: F::DEPRECATED.map(str::to_owned),
        };
        Self { function, signature }
    }
}

impl<F: Function> AnyFunction for FunctionOf<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn call<'a>(
        &'a self,
        arguments: Vec<Value>,
        _call: Call,
    ) -> BoxFuture<'a, Result<Value, FunctionError>> {
        Box::pin(async move {
            let wanted = self.signature.parameters.len();
            if arguments.len() < wanted
                || (arguments.len() > wanted && self.signature.variadic.is_none())
            {
                return Err(FunctionError::new(format!(
                    "The function {} takes {wanted} arguments, not {}.",
                    F::NAME,
                    arguments.len()
                )));
            }
            let mut object = Object::new();
            let mut rest = arguments.into_iter();
            for (position, (parameter, value)) in
                self.signature.parameters.iter().zip(rest.by_ref()).enumerate()
            {
                if value.is_null() && !parameter.allow_null {
                    return Err(FunctionError::of_argument(
                        i64::try_from(position).unwrap_or(0),
                        format!("{} must not be null.", parameter.name),
                    ));
                }
                object.insert(parameter.name.clone(), value);
            }
            if let Some(variadic) = &self.signature.variadic {
                object.insert(variadic.name.clone(), Value::List(rest.collect()));
            }
            let arguments = F::Arguments::read(&mut object, &Path::root())
                .map_err(|wrong| FunctionError::new(crate::Diagnostic::from(wrong).detail))?;
            Ok(self.function.call(arguments)?.encode())
        })
    }
}
