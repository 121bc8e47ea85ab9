//! The certificates at hand, and how far they have come.

use crate::cert::Certificate;
use crate::engine::install::Material;
use crate::engine::order::Order;

/// The certificates that the vendor sent, or that were found on this machine, and what is known of them.
#[derive(Debug, Default)]
pub(crate) enum Bundle {
    #[default]
    None,
    /// Not through the gate yet.
    Unjudged(Vec<Certificate>),
    /// Through the gate: what is to be installed.
    Passed(Vec<Certificate>, Box<Material>),
    /// Refused, the presumed leaf first. The operator may accept it.
    Refused(Vec<Certificate>),
    /// The installed certificate again. It serves only to restore missing files, and is not saved.
    Spare(Vec<Certificate>),
}

impl Bundle {
    pub(crate) fn certificates(&self) -> Option<&Vec<Certificate>> {
        match self {
            Bundle::None => None,
            Bundle::Unjudged(certificates)
            | Bundle::Passed(certificates, _)
            | Bundle::Refused(certificates)
            | Bundle::Spare(certificates) => Some(certificates),
        }
    }

    pub(crate) fn into_certificates(self) -> Option<Vec<Certificate>> {
        match self {
            Bundle::None => None,
            Bundle::Unjudged(certificates)
            | Bundle::Passed(certificates, _)
            | Bundle::Refused(certificates)
            | Bundle::Spare(certificates) => Some(certificates),
        }
    }

    pub(crate) fn material(&self) -> Option<&Material> {
        match self {
            Bundle::Passed(_, material) => Some(material),
            Bundle::None | Bundle::Unjudged(_) | Bundle::Refused(_) | Bundle::Spare(_) => None,
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        self.certificates().is_none()
    }
}

impl Order<'_> {
    /// Other certificates are at hand now, or none: the one place that marks their row.
    pub(crate) fn set_bundle(&mut self, bundle: Bundle) {
        let state = &mut *self.state;
        let (kept, verify) = match bundle {
            Bundle::None | Bundle::Spare(_) => (false, false),
            Bundle::Unjudged(_) => (true, true),
            // Keys or configuration may have changed while these were judged.
            Bundle::Passed(..) | Bundle::Refused(_) => (true, state.pending.verify),
        };
        state.pending.verify = verify;
        state.pending.quarantine = false;
        state.hold_until = None;
        state.bundle = bundle;
        if std::mem::replace(&mut state.record.bundled, kept) || kept {
            self.outbox.unsaved.bundles.insert(self.id);
        }
    }

    /// The same certificates have passed the gate.
    pub(crate) fn pass_bundle(&mut self, material: Material) {
        let certificates = std::mem::take(&mut self.state.bundle).into_certificates().unwrap_or_default();
        self.state.bundle = Bundle::Passed(certificates, Box::new(material));
        self.state.hold_until = None;
    }

    /// The same certificates go through the gate again, even those that have passed it.
    pub(crate) fn rejudge_bundle(&mut self) {
        self.state.bundle = match std::mem::take(&mut self.state.bundle) {
            Bundle::Passed(certificates, _) => Bundle::Unjudged(certificates),
            other @ (Bundle::None | Bundle::Unjudged(_) | Bundle::Refused(_) | Bundle::Spare(_)) => other,
        };
        self.state.pending.verify = !self.state.bundle.is_none();
    }
}
