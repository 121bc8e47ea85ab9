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
        let slot = &mut *self.slot;
        let (kept, verify) = match bundle {
            Bundle::None | Bundle::Spare(_) => (false, false),
            Bundle::Unjudged(_) => (true, true),
            // Keys or configuration may have changed while these were judged.
            Bundle::Passed(..) | Bundle::Refused(_) => (true, slot.pending.verify),
        };
        slot.pending.verify = verify;
        slot.pending.quarantine = false;
        slot.hold_until = None;
        slot.bundle = bundle;
        if std::mem::replace(&mut slot.record.bundled, kept) || kept {
            self.outbox.unsaved.bundles.insert(self.id);
        }
    }

    /// The same certificates have passed the gate.
    pub(crate) fn pass_bundle(&mut self, material: Material) {
        let certificates = std::mem::take(&mut self.slot.bundle).into_certificates().unwrap_or_default();
        self.slot.bundle = Bundle::Passed(certificates, Box::new(material));
        self.slot.hold_until = None;
    }

    /// The same certificates go through the gate again, even those that have passed it.
    pub(crate) fn rejudge_bundle(&mut self) {
        self.slot.bundle = match std::mem::take(&mut self.slot.bundle) {
            Bundle::Passed(certificates, _) => Bundle::Unjudged(certificates),
            other @ (Bundle::None | Bundle::Unjudged(_) | Bundle::Refused(_) | Bundle::Spare(_)) => other,
        };
        self.slot.pending.verify = !self.slot.bundle.is_none();
    }
}
