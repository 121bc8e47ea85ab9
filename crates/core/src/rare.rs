//! What few have: a pointer in each, and a box where there is something in it.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that has nothing in it for most. The first write makes its box, also one that changes nothing:
/// [`Rare::tidy`] gives it back.
#[derive(Clone)]
pub struct Rare<T>(Option<Box<T>>);

/// What can have nothing in it: its default.
pub trait Bare: Default + 'static {
    fn bare() -> &'static Self;

    fn is_bare(&self) -> bool;
}

impl<T: Bare> Rare<T> {
    /// For writing, if there is a box; makes none.
    pub fn present(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }

    /// Gives back a box with nothing in it.
    pub fn tidy(&mut self) {
        self.0.take_if(|value| value.is_bare());
    }
}

impl<T: Bare> From<T> for Rare<T> {
    fn from(value: T) -> Rare<T> {
        Rare((!value.is_bare()).then(|| Box::new(value)))
    }
}

impl<T: Bare> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(value) => value,
            None => T::bare(),
        }
    }
}

impl<T: Bare> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Rare<T> {
        Rare(None)
    }
}

impl<T: Bare + PartialEq> PartialEq for Rare<T> {
    fn eq(&self, other: &Rare<T>) -> bool {
        **self == **other
    }
}

impl<T: Bare + Eq> Eq for Rare<T> {}

impl<T: Bare + fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Bare + Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Bare + Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rare<T>, D::Error> {
        T::deserialize(deserializer).map(Rare::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Words {
        all: Vec<u8>,
    }

    impl Bare for Words {
        fn bare() -> &'static Words {
            const { &Words { all: Vec::new() } }
        }

        fn is_bare(&self) -> bool {
            self.all.is_empty()
        }
    }

    #[test]
    fn only_what_has_something_in_it_has_a_box() {
        assert_eq!(size_of::<Rare<Words>>(), size_of::<usize>());
        let mut rare = Rare::from(Words::default());
        assert!(rare.0.is_none() && rare.present().is_none() && rare.0.is_none());
        rare.all.push(1);
        rare.tidy();
        assert_eq!(*rare, Words { all: vec![1] });
        rare.all.clear();
        assert!(rare.present().is_some() && rare == Rare::default());
        rare.tidy();
        assert!(rare.present().is_none());
    }
}
