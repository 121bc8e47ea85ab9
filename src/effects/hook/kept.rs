//! What a call keeps elsewhere, because it is secret: read for each call. No error has anything of the content.

use zeroize::Zeroizing;

use crate::config;
use crate::effects::call::credential;
use certcollectd_core::config::{SecretSource, Template, TemplateError, Variable};

/// Bytes of a body.
const MOST_IN_BODY: usize = 64 * 1024;

/// The address of a call.
pub fn url(source: &SecretSource) -> Result<Zeroizing<String>, String> {
    let text = credential::read(source)?;
    // Whoever may reach a socket needs no secret for it.
    if config::is_web_address(&text) {
        return Ok(text);
    }
    Err(format!(
        "{} holds no address; it must be one line, such as https://chat.example.com/…",
        source.describe()
    ))
}

/// The body of a call.
pub fn body(source: &SecretSource) -> Result<Template, String> {
    let text = credential::read_text(source, MOST_IN_BODY)?;
    let shown = source.describe();
    Template::parse(&text).map_err(|error| match error {
        TemplateError::Unclosed => format!("{shown} has a `{{{{` without its `}}}}`"),
        TemplateError::Unknown(_) => {
            format!("{shown} has an unknown variable; variables are {}", Variable::WORDS.join(", "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(content: &str) -> (tempfile::TempDir, SecretSource) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kept");
        std::fs::write(&path, content).unwrap();
        (dir, SecretSource::File(path))
    }

    #[test]
    fn an_address_is_one_of_the_web_and_no_error_repeats_it() {
        for text in ["https://chat.example.com/s3cret\n", "\u{feff}http://127.0.0.1:8080/s3cret?a=b"] {
            let (_dir, source) = kept(text);
            assert!(text.contains(&**url(&source).unwrap()), "{text}");
        }
        for text in [
            "s3cret",
            "ftp://h/s3cret",
            "http+unix:///run/s3cret.sock/",
            "https://u:s3cret@h/",
            "https://h/#s3cret",
        ] {
            let (_dir, source) = kept(text);
            let error = url(&source).unwrap_err();
            assert!(error.contains("holds no address") && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_body_is_a_text_of_several_lines_and_no_error_repeats_it() {
        let (_dir, source) = kept("{\"key\": \"s3cret\",\n\"text\": \"{{summary}}\"}\n");
        let sent = body(&source).unwrap().render(|variable| format!("<{variable}>"));
        assert_eq!(sent, "{\"key\": \"s3cret\",\n\"text\": \"<summary>\"}\n");
        for (text, expected) in [("{{s3cret}}", "has an unknown variable"), ("{{s3cret", "without its `}}`")]
        {
            let (_dir, source) = kept(text);
            let error = body(&source).unwrap_err();
            assert!(error.contains(expected) && !error.contains("s3cret"), "{text}: {error}");
        }
        let (_dir, source) = kept(&"x".repeat(MOST_IN_BODY + 1));
        assert!(body(&source).unwrap_err().contains("larger than"));
    }
}
