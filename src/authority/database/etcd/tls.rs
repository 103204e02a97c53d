//! Whom we trust and who we are over TLS, from the files that the command line names.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PrivateKey, TlsConfig};
use zeroize::Zeroizing;

use super::options::Options;
use crate::store::Error;

/// Largest file in bytes.
const LARGEST: u64 = 1 << 20;

/// For connections to the cluster.
///
/// # Errors
/// Which file can't be used.
pub(super) fn config(options: &Options) -> Result<TlsConfig, Error> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    let trusted = match &options.ca {
        Some(file) => certificates(file)?,
        None => Vec::new(), // plain HTTP
    };
    for root in &trusted {
        let added = roots.add(root.clone());
        added.map_err(|error| wrong(options.ca.as_deref(), &error.to_string()))?;
    }
    let mut config = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::clone(&provider))
        .root_certs(trusted.iter().map(|root| owned(root)).collect::<Vec<_>>().into());
    if let Some((cert, key)) = &options.identity {
        let (chain, (key_der, own_key)) = (certificates(cert)?, private_key(key)?);
        let own_chain: Vec<Certificate<'static>> = chain.iter().map(|der| owned(der)).collect();
        // Where the key does not fit, ureq would panic at the first connection.
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|tls| tls.with_root_certificates(roots).with_client_auth_cert(chain, key_der))
            .map_err(|error| wrong(Some(cert), &format!("{error}, with {}", key.display())))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(&own_chain, own_key)));
    }
    Ok(config.build())
}

fn owned(der: &[u8]) -> Certificate<'static> {
    Certificate::from_der(der).to_owned()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(file, false)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(wrong(Some(file), "it holds no certificate in PEM")),
    }
}

/// The same key, for rustls and for ureq.
fn private_key(file: &Path) -> Result<(PrivateKeyDer<'static>, PrivateKey<'static>), Error> {
    let text = read(file, true)?;
    match (PrivateKeyDer::from_pem_slice(&text), PrivateKey::from_pem(&text)) {
        (Ok(key), Ok(same)) => Ok((key, same)),
        _ => Err(wrong(Some(file), "it holds no private key in PEM without a passphrase")),
    }
}

/// The password in a file: its first line.
///
/// # Errors
/// When the file can't be used.
pub(super) fn password(file: &Path) -> Result<Zeroizing<String>, Error> {
    let bytes = read(file, true)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong(Some(file), "it is not UTF-8"))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(wrong(Some(file), "its first line, the password, is empty")),
    }
}

/// Links are followed, because that is how orchestrators hand secrets over.
fn read(file: &Path, secret: bool) -> Result<Zeroizing<Vec<u8>>, Error> {
    let failed = |error: std::io::Error| Error::system("read", file, &error);
    let opened = File::open(file).map_err(failed)?;
    let found = opened.metadata().map_err(failed)?;
    if secret && found.mode() & 0o007 != 0 {
        let what = format!("every user may read it: run `chmod 600 {}`", file.display());
        return Err(wrong(Some(file), &what));
    }
    if found.len() > LARGEST {
        return Err(wrong(Some(file), &format!("it is larger than {LARGEST} bytes")));
    }
    // The full capacity at once: a vector that grows leaves unwiped copies behind.
    let expected = usize::try_from(found.len()).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    opened.take(LARGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn wrong(file: Option<&Path>, what: &str) -> Error {
    let file = file.map(|file| file.display().to_string()).unwrap_or_default();
    Error::new(format!("{file} can't be used for etcd: {what}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use rcgen::{CertificateParams, KeyPair};

    use super::super::options::Options;
    use super::{config, password};
    use crate::store::Scratch;

    struct Files(Scratch);

    impl Files {
        fn write(&self, name: &str, text: &str, mode: u32) -> String {
            let file = self.0.0.join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            file.display().to_string()
        }
    }

    #[test]
    fn a_key_of_another_certificate_is_found_at_the_start() {
        let files = Files(Scratch::new());
        let pair = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(["a".to_owned()]).unwrap().self_signed(&pair).unwrap();
        let cert = files.write("cert", &cert.pem(), 0o644);
        let own = files.write("own", &pair.serialize_pem(), 0o600);
        let other = files.write("other", &KeyPair::generate().unwrap().serialize_pem(), 0o600);
        let open = files.write("open", &pair.serialize_pem(), 0o644);
        let none = files.write("none", "no PEM", 0o600);
        let tried = |ca: &str, cert: &str, key: &str| {
            let flags = [("etcd-ca", ca), ("etcd-cert", cert), ("etcd-key", key)];
            let options = Options::of("https://a", &flags).unwrap();
            config(&options).map(drop).map_err(|error| error.to_string())
        };
        assert_eq!(tried(&cert, &cert, &own), Ok(()));
        for (ca, cert, key, wanted) in [
            (&cert, &cert, &other, "can't be used for etcd: "),
            (&cert, &cert, &open, "chmod 600"),
            (&cert, &cert, &none, "no private key in PEM"),
            (&own, &cert, &own, "no certificate in PEM"),
        ] {
            let error = tried(ca, cert, key).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
        let error = tried("/nonexistent/ca", &cert, &own).unwrap_err();
        assert!(error.starts_with("cannot read /nonexistent/ca: "), "{error}");
    }

    #[test]
    fn a_password_is_the_first_line_of_a_file_that_others_cannot_read() {
        let files = Files(Scratch::new());
        let read = |file: String| password(&PathBuf::from(file)).map_err(|error| error.to_string());
        assert_eq!(**read(files.write("p", "secret\r\nmore", 0o400)).as_ref().unwrap(), *"secret");
        for (text, mode, wanted) in [
            ("secret", 0o604, "every user may read it: run `chmod 600 "),
            ("\nsecret", 0o600, "is empty"),
            ("", 0o600, "is empty"),
        ] {
            let error = read(files.write("wrong", text, mode)).unwrap_err();
            assert!(error.contains(wanted) && !error.contains("secret"), "{error}");
        }
    }
}
