//! Structs that are declared together with their JSON, so that each name and form stands in one place.

/// Declares a struct whose fields are the members of a JSON object, named as the field or as after `as`. After `=`
/// stands how the member is read: a method of [`Fields`](super::fields::Fields), with its arguments after the
/// member's name.
macro_rules! object {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $($(#[$doc:meta])* $fvis:vis $field:ident $(as $member:literal)?: $type:ty
                = $form:ident $(($($arg:expr),+))?,)+
        }
    ) => {
        $(#[$meta])*
        $vis struct $name { $($(#[$doc])* $fvis $field: $type,)+ }

        impl $name {
            /// Reads the members.
            ///
            /// # Errors
            /// Which member is missing or wrong.
            pub(crate) fn read(
                fields: &$crate::license::protocol::fields::Fields<'_>,
            ) -> Result<$name, $crate::license::protocol::fields::Error> {
                Ok($name { $($field: {
                    let member = [$($member,)? stringify!($field)][0];
                    fields.$form(member $($(, $arg)+)?)?
                },)+ })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.collect_map([
                    $(([$($member,)? stringify!($field)][0], serde_json::json!(self.$field)),)+
                ])
            }
        }
    };
}

pub(crate) use object;
