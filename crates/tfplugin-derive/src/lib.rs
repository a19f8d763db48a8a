//! Derive macros for the tfplugin SDK.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Expr, Field, Fields, GenericArgument, Lit, PathArguments, Type};

/// Makes a struct of `Attr<T>` fields the attributes of a resource: schema, typed decoding and
/// encoding, defaults, rules and documentation (the doc comments) in one declaration.
///
/// What `#[tf(…)]` takes on a field:
///
/// | word | meaning |
/// |---|---|
/// | `required`, `optional`, `computed` | who may set it (at least one) |
/// | `sensitive`, `write_only` | as in Terraform |
/// | `default = expression` | what a null configuration means; implies `optional, computed` |
/// | `replace` | a change needs a new object |
/// | `stable` (the default), `volatile` | what an update promises of a computed attribute |
/// | `not_null`, `prefix = "…"` | what plan promises of it while unknown |
/// | `validate = path::to::function` | a rule, `fn(&T) -> Result<(), String>` (for text `&str` will do); may be repeated |
/// | `name = "…"` | another name than the field's |
/// | `deprecated = "…"` | what to use instead |
/// | `flatten` | the field is a `Model` itself whose attributes stand beside the others |
#[proc_macro_derive(Model, attributes(tf))]
pub fn model(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = syn::parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(syn::Error::new(input.span(), "Model is derived for structs"));
    };
    let fields: Vec<&Field> = match &data.fields {
        Fields::Named(fields) => fields.named.iter().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(_) => {
            return Err(syn::Error::new(input.span(), "Model needs named fields"));
        }
    };
    let mut attributes = Vec::new();
    let mut reads = Vec::new();
    let mut writes = Vec::new();
    let mut wrong: Option<syn::Error> = None;
    for field in fields {
        match Part::of(field) {
            Ok(part) => {
                attributes.push(part.attribute());
                reads.push(part.read());
                writes.push(part.write());
            }
            // All that is wrong is told at once.
            Err(error) => match &mut wrong {
                Some(wrong) => wrong.combine(error),
                None => wrong = Some(error),
            },
        }
    }
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let name = &input.ident;
    let description = docs(&input.attrs);
    let (impl_generics, type_generics, where_clause) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics ::tfplugin::Model for #name #type_generics #where_clause {
            fn attributes() -> ::std::vec::Vec<::tfplugin::Attribute> {
                let mut attributes = ::std::vec::Vec::new();
                #(#attributes)*
                attributes
            }

            fn description() -> &'static str {
                #description
            }

            #[allow(unused_variables)]
            fn read(
                from: &::tfplugin::Object,
            ) -> ::std::result::Result<Self, ::tfplugin::model::Misread> {
                ::std::result::Result::Ok(Self { #(#reads)* })
            }

            #[allow(unused_variables)]
            fn write(&self, into: &mut ::tfplugin::Object) {
                #(#writes)*
            }
        }
    })
}

/// What may be said of a field, for who says something else.
const WORDS: &str = "say required, optional, computed, sensitive, write_only, default = …, replace, \
                     stable, volatile, not_null, prefix = …, validate = …, name = …, \
                     deprecated = … or flatten";

/// What cores refuse to see together.
const CONTRARY: [(&str, &str); 7] = [
    ("required", "optional"),
    ("required", "computed"),
    ("required", "default"),
    ("write_only", "computed"),
    ("write_only", "default"),
    ("stable", "volatile"),
    ("required", "volatile"),
];

/// One field and what is said of it.
struct Part<'a> {
    field: &'a Field,
    name: String,
    flatten: bool,
    /// The `T` of `Attr<T>`.
    inner: Option<&'a Type>,
    calls: Vec<TokenStream>,
    description: String,
}

impl<'a> Part<'a> {
    fn of(field: &'a Field) -> syn::Result<Self> {
        let ident = field
            .ident
            .as_ref()
            .ok_or_else(|| syn::Error::new(field.span(), "Model needs named fields"))?;
        let plain = ident.to_string();
        let mut part = Self {
            field,
            name: plain.strip_prefix("r#").unwrap_or(&plain).to_owned(),
            flatten: false,
            inner: inner_of(&field.ty),
            calls: Vec::new(),
            description: docs(&field.attrs),
        };
        let mut said = Vec::new();
        for attr in field.attrs.iter().filter(|a| a.path().is_ident("tf")) {
            attr.parse_nested_meta(|meta| {
                let word = meta
                    .path
                    .get_ident()
                    .map(ToString::to_string)
                    .ok_or_else(|| meta.error("one word is expected here"))?;
                let inner = part.inner;
                let typed = || {
                    inner.ok_or_else(|| {
                        syn::Error::new(field.ty.span(), "a field is an Attr<…>, or #[tf(flatten)]")
                    })
                };
                match word.as_str() {
                    "required" | "optional" | "computed" | "sensitive" | "write_only"
                    | "replace" | "volatile" | "not_null" => {
                        let call = &meta.path;
                        part.calls.push(quote!(.#call()));
                    }
                    "stable" => {}
                    "flatten" => part.flatten = true,
                    "default" => {
                        let inner = typed()?;
                        let value: Expr = meta.value()?.parse()?;
                        part.calls.push(quote! {
                            .default_to(::tfplugin::Data::encode(
                                &<#inner as ::std::convert::From<_>>::from(#value),
                            ))
                        });
                    }
                    "validate" => {
                        let inner = typed()?;
                        let rule: Expr = meta.value()?.parse()?;
                        part.calls.push(quote!(.check::<#inner>(|value: &#inner| (#rule)(value))));
                    }
                    "prefix" => {
                        let text: Expr = meta.value()?.parse()?;
                        part.calls.push(quote!(.prefix(#text)));
                    }
                    "deprecated" => {
                        let text: Expr = meta.value()?.parse()?;
                        part.calls.push(quote!(.deprecated(#text)));
                    }
                    "name" => {
                        let text: syn::LitStr = meta.value()?.parse()?;
                        part.name = text.value();
                    }
                    other => {
                        return Err(meta.error(format!("`{other}` means nothing here: {WORDS}")));
                    }
                }
                if word != "validate" && said.contains(&word) {
                    return Err(meta.error(format!("`{word}` is said twice")));
                }
                said.push(word);
                Ok(())
            })?;
        }
        if part.flatten {
            if !part.calls.is_empty() {
                return Err(syn::Error::new(
                    field.span(),
                    "a flattened part says of its own attributes what they are",
                ));
            }
        } else {
            if part.inner.is_none() {
                return Err(syn::Error::new(
                    field.ty.span(),
                    "a field is an Attr<…>, or #[tf(flatten)]",
                ));
            }
            let says = |word: &str| said.iter().any(|one| one == word);
            if !["required", "optional", "computed", "default"].into_iter().any(says) {
                return Err(syn::Error::new(
                    field.span(),
                    "say #[tf(required)], #[tf(optional)] or #[tf(computed)]",
                ));
            }
            if let Some((one, other)) =
                CONTRARY.iter().find(|(one, other)| says(one) && says(other))
            {
                return Err(syn::Error::new(
                    field.span(),
                    format!("it cannot be `{one}` and `{other}` both"),
                ));
            }
        }
        Ok(part)
    }

    fn attribute(&self) -> TokenStream {
        let (name, calls, description) = (&self.name, &self.calls, &self.description);
        let ty = &self.field.ty;
        match self.inner {
            Some(inner) if !self.flatten => quote! {
                attributes.push(
                    ::tfplugin::Attribute::of::<#inner>(#name).describe(#description) #(#calls)*
                );
            },
            _ => quote!(attributes.extend(<#ty as ::tfplugin::Model>::attributes());),
        }
    }

    fn read(&self) -> TokenStream {
        let (ident, ty, name) = (&self.field.ident, &self.field.ty, &self.name);
        if self.flatten {
            quote!(#ident: <#ty as ::tfplugin::Model>::read(from)?,)
        } else {
            quote!(#ident: ::tfplugin::model::take(from, #name)?,)
        }
    }

    fn write(&self) -> TokenStream {
        let (ident, ty, name) = (&self.field.ident, &self.field.ty, &self.name);
        if self.flatten {
            quote!(<#ty as ::tfplugin::Model>::write(&self.#ident, into);)
        } else {
            quote! {
                into.insert(
                    ::std::string::String::from(#name),
                    ::tfplugin::model::put(&self.#ident),
                );
            }
        }
    }
}

/// The `T` of an `Attr<T>`.
fn inner_of(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    if last.ident != "Attr" {
        return None;
    }
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

/// The doc comments as one text, one leading space dropped from each line.
fn docs(attrs: &[syn::Attribute]) -> String {
    let lines: Vec<String> = attrs
        .iter()
        .filter(|attr| attr.path().is_ident("doc"))
        .filter_map(|attr| match &attr.meta {
            syn::Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(lit) => match &lit.lit {
                    Lit::Str(text) => Some(text.value()),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        })
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    /// What is told of a struct, one line for each thing.
    fn told(input: &DeriveInput) -> Vec<String> {
        let errors = expand(input).err().into_iter().flatten();
        errors.map(|error| error.to_string()).collect()
    }

    #[test]
    fn what_says_too_little_or_too_much_is_told_in_words() {
        let field = |field: TokenStream| told(&parse_quote!(struct Thing { #field }));
        for (wrong, word) in [
            (quote!(name: Attr<String>), "say #[tf(required)]"),
            (quote!(#[tf(required)] name: String), "an Attr<…>"),
            (quote!(#[tf(default = "x")] name: String), "an Attr<…>"),
            (quote!(#[tf(required, imutable)] name: Attr<String>), "`imutable` means nothing here"),
            (quote!(#[tf(required, required)] name: Attr<String>), "`required` is said twice"),
            (quote!(#[tf(required, optional)] name: Attr<String>), "`required` and `optional`"),
            (quote!(#[tf(required, computed)] name: Attr<String>), "`required` and `computed`"),
            (quote!(#[tf(required, default = 1)] n: Attr<i64>), "`required` and `default`"),
            (
                quote!(#[tf(optional, write_only, default = "x")] n: Attr<String>),
                "`write_only` and",
            ),
            (quote!(#[tf(flatten, required)] all: Others), "says of its own attributes"),
        ] {
            let told = field(wrong.clone());
            assert!(told.len() == 1 && told[0].contains(word), "{wrong}: {told:?}");
        }
        let listed = field(quote!(#[tf(imutable)] name: Attr<String>));
        assert!(listed[0].contains("replace") && listed[0].contains("validate = …"), "{listed:?}");
    }

    #[test]
    fn every_wrong_field_is_told_at_once() {
        let both = told(&parse_quote!(
            struct Thing {
                name: Attr<String>,
                #[tf(required)]
                right: Attr<String>,
                #[tf(required)]
                kind: String,
            }
        ));
        assert_eq!(both.len(), 2, "{both:?}");
    }

    #[test]
    fn only_a_struct_with_named_fields_is_a_model() {
        assert!(
            told(&parse_quote!(
                enum Thing {
                    One,
                }
            ))[0]
                .contains("derived for structs")
        );
        assert!(
            told(&parse_quote!(
                struct Thing(Attr<String>);
            ))[0]
                .contains("named fields")
        );
        assert_eq!(
            told(&parse_quote!(
                struct Thing {}
            )),
            [] as [String; 0]
        );
        let right = quote!(#[tf(optional, computed, validate = a, validate = b)] n: Attr<String>);
        assert_eq!(told(&parse_quote!(struct Thing { #right })), [] as [String; 0]);
    }
}
