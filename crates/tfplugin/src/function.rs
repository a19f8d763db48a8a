//! Functions: pure and deterministic.

use std::collections::BTreeSet;

use crate::erased::{AnyFunction, BoxFuture, Call, FunctionError, Parameter, Signature};
use crate::schema::is_identifier;
use crate::{Data, Model, Object, Type, Value};

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
pub(crate) fn faults(name: &str, signature: &Signature) -> Vec<String> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let form = "a name is a-z, 0-9 and _, and begins with a letter";
    if !is_identifier(name) {
        faults.push(form.to_owned());
    }
    let crashes = |ty: &Type| ty.has_dynamic() && *ty != Type::Dynamic;
    for parameter in signature.parameters.iter().chain(&signature.variadic) {
        let name = &parameter.name;
        if !names.insert(name) {
            faults.push(format!("two parameters are named {name}"));
        }
        if !is_identifier(name) {
            faults.push(format!("parameter {name:?}: {form}"));
        }
        if crashes(&parameter.ty) {
            faults.push(format!("parameter {name}: a dynamic type inside another crashes cores"));
        }
    }
    if crashes(&signature.returns) {
        faults.push("its result: a dynamic type inside another crashes cores".to_owned());
    }
    faults
}

pub(crate) struct FunctionOf<F> {
    function: F,
    signature: Signature,
    /// It is variadic, and its last field cannot take what comes.
    odd_last: bool,
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
        let mut variadic = if F::VARIADIC { parameters.pop() } else { None };
        let mut odd_last = F::VARIADIC;
        if let Some(last) = &mut variadic
            && let Type::List(of) = &last.ty
        {
            last.ty = Type::clone(of);
            odd_last = false;
        }
        let signature = Signature {
            parameters,
            variadic,
            returns: F::Output::kind().ty(),
            summary: F::SUMMARY.to_owned(),
            description: F::Arguments::description().to_owned(),
            deprecation: F::DEPRECATED.map(str::to_owned),
        };
        Self { function, signature, odd_last }
    }
}

impl<F: Function> AnyFunction for FunctionOf<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = faults(F::NAME, &self.signature);
        if self.odd_last {
            faults.push("it is variadic, and its last parameter is no list".to_owned());
        }
        faults
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
            let arguments = F::Arguments::read(&object)
                .map_err(|wrong| FunctionError::new(crate::Diagnostic::from(wrong).detail))?;
            Ok(self.function.call(arguments)?.encode())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attribute, model::Misread};

    /// The arguments of a test's function: made of the attributes that it is given.
    macro_rules! odd {
        ($name:ident, $spelled:expr, $variadic:expr, $attributes:expr) => {
            #[derive(Clone, PartialEq)]
            struct $name;

            impl Model for $name {
                fn attributes() -> Vec<Attribute> {
                    $attributes
                }

                fn read(_from: &Object) -> Result<Self, Misread> {
                    Ok(Self)
                }

                fn write(&self, _into: &mut Object) {}
            }

            impl Function for $name {
                type Arguments = Self;
                type Output = String;
                const NAME: &'static str = $spelled;
                const SUMMARY: &'static str = "";
                const VARIADIC: bool = $variadic;

                fn call(&self, _arguments: Self) -> Result<String, FunctionError> {
                    Ok(String::new())
                }
            }
        };
    }

    fn of(name: &str, ty: Type) -> Attribute {
        Attribute::new(name, ty).required()
    }

    odd!(Good, "good", true, vec![of("a", Type::String), of("rest", Type::list(Type::String))]);
    odd!(Spelled, "Well-Spelled", false, vec![of("A", Type::String)]);
    odd!(NoList, "no_list", true, vec![of("rest", Type::set(Type::String))]);
    odd!(Nothing, "nothing", true, Vec::new());
    odd!(Crashes, "crashes", false, vec![of("a", Type::list(Type::Dynamic))]);

    #[test]
    fn a_function_that_cores_refuse_or_nobody_can_call_is_a_fault() {
        assert_eq!(FunctionOf::new(Good).faults(), [] as [String; 0]);
        let spelled = FunctionOf::new(Spelled).faults();
        assert!(spelled[0].contains("a-z") && spelled[1].contains("\"A\""), "{spelled:?}");
        assert!(FunctionOf::new(NoList).faults()[0].contains("no list"));
        assert!(FunctionOf::new(Nothing).faults()[0].contains("no list"));
        assert!(FunctionOf::new(Crashes).faults()[0].contains("crashes"));
    }
}
