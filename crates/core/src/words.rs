//! One list for what is an enum in the code and a word elsewhere.

/// Declares an enum whose variants have one word each, with `ALL`, `WORDS`, `as_str`, `named`, `Display`, and
/// what serde's `into = "&'static str"` needs.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $(#[$meta])*
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// In the order of the declaration.
            pub const ALL: [$name; [$($word),+].len()] = [$($name::$variant),+];

            /// Their words, in the same order.
            pub const WORDS: [&'static str; $name::ALL.len()] = [$($word),+];

            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            pub fn named(word: &str) -> Option<$name> {
                $name::ALL.into_iter().find(|one| one.as_str() == word)
            }
        }

        impl From<$name> for &'static str {
            fn from(one: $name) -> &'static str {
                one.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
