//! The certificates at hand, and how far they have come.

use crate::cert::Certificate;
use crate::engine::install::Material;

/// The certificates that the vendor sent, or that were found on this machine, and what is known of them.
#[derive(Debug, Default)]
pub(crate) enum Bundle {
    #[default]
    None,
    /// Not verified yet.
    Unjudged(Vec<Certificate>),
    /// Verified: what is to be installed.
    Passed(Vec<Certificate>, Box<Material>),
    /// Refused, the presumed leaf first. The operator may accept it.
    Refused(Vec<Certificate>),
    /// The installed certificate again. It serves only to restore missing files, and is not saved.
    ForRestore(Vec<Certificate>),
}

impl Bundle {
    pub(crate) fn certificates(&self) -> Option<&Vec<Certificate>> {
        match self {
            Bundle::None => None,
            Bundle::Unjudged(certificates)
            | Bundle::Passed(certificates, _)
            | Bundle::Refused(certificates)
            | Bundle::ForRestore(certificates) => Some(certificates),
        }
    }

    pub(crate) fn material(&self) -> Option<&Material> {
        match self {
            Bundle::Passed(_, material) => Some(material),
            Bundle::None | Bundle::Unjudged(_) | Bundle::Refused(_) | Bundle::ForRestore(_) => None,
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.certificates().is_none()
    }
}
