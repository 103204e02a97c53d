//! Enums that stand for words of a protocol, a file or the settings: each word stands in one place.

/// Declares an enum whose variants are words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis enum $name { $($(#[$doc])* $variant,)+ }

        #[allow(dead_code)] // some are only read, others only written
        impl $name {
            /// All of them.
            $vis const ALL: &[$name] = &[$($name::$variant),+];

            /// All of them, each with its word.
            $vis const NAMES: &[(&'static str, $name)] = &[$(($word, $name::$variant)),+];

            /// The word.
            $vis fn name(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// Reads what `name` writes; `None` for anything else.
            $vis fn parse(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|known| known.name() == word)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(self.name())
            }
        }
    };
}

pub(crate) use words;
