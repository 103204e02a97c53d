//! Keys and certificates made by the `openssl` program for one test; none is kept anywhere.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sha2::{Digest, Sha256};

use super::command::openssl;

/// A key an appliance may be offered.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Rsa(u16),
    /// By openssl's name of the curve.
    Ec(&'static str),
    Ed25519,
    Ed448,
}

/// A certificate file and the file of its key (PKCS#8, as openssl writes them).
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) key: PathBuf,
    pub(crate) cert: PathBuf,
}

/// A certificate authority whose files lie in a test's folder.
pub(crate) struct Authority {
    folder: PathBuf,
    pair: Pair,
}

/// What every certificate for an appliance says about itself.
const LEAF: &str = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n\
                    subjectAltName=DNS:localhost,IP:127.0.0.1\n";
const ISSUER: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";

impl Authority {
    /// A root of its own.
    pub(crate) fn new(folder: &Path) -> Authority {
        let pair = Pair { key: folder.join("root.key"), cert: folder.join("root.crt") };
        new_key(folder, &pair.key, Key::Ec("P-256"));
        let (key, cert) = (text(&pair.key), text(&pair.cert));
        #[rustfmt::skip]
        openssl(folder, &[
            "req", "-x509", "-new", "-key", key, "-out", cert, "-days", "90", "-subj", "/CN=Test Root",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        ]);
        Authority { folder: folder.to_owned(), pair }
    }

    /// The certificate a user's machine has to trust.
    pub(crate) fn root(&self) -> &Path {
        &self.pair.cert
    }

    /// An authority that this one has signed.
    pub(crate) fn intermediate(&self, name: &str) -> Authority {
        let pair = self.certify(name, Key::Ec("P-256"), ISSUER);
        Authority { folder: self.folder.clone(), pair }
    }

    /// A certificate for `localhost` and 127.0.0.1, valid for two months.
    pub(crate) fn issue(&self, name: &str, key: Key) -> Pair {
        self.certify(name, key, LEAF)
    }

    pub(crate) fn certify(&self, name: &str, key: Key, extensions: &str) -> Pair {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed).to_string();
        let (pair, request, extension_file) = self.request(name, key, extensions);
        #[rustfmt::skip]
        openssl(&self.folder, &[
            "x509", "-req", "-in", text(&request), "-out", text(&pair.cert), "-days", "60",
            "-CA", text(&self.pair.cert), "-CAkey", text(&self.pair.key), "-set_serial", &serial,
            "-extfile", text(&extension_file),
        ]);
        pair
    }

    /// A certificate for a request made elsewhere, with the names that it asks for.
    pub(crate) fn sign(&self, name: &str, request: &str) -> PathBuf {
        let (request, cert) = (
            self.file(&format!("{name}.csr"), request.as_bytes()),
            self.folder.join(format!("{name}.crt")),
        );
        #[rustfmt::skip]
        openssl(&self.folder, &[
            "x509", "-req", "-in", text(&request), "-out", text(&cert), "-days", "60",
            "-CA", text(&self.pair.cert), "-CAkey", text(&self.pair.key), "-copy_extensions", "copy",
        ]);
        cert
    }

    /// A certificate valid between two dates, each as `YYYYMMDDHHMMSSZ`.
    pub(crate) fn issue_dated(&self, name: &str, from: &str, until: &str) -> Pair {
        let (pair, request, extension_file) = self.request(name, Key::Ec("P-256"), LEAF);
        let records = self.folder.join(format!("{name}-records"));
        std::fs::create_dir(&records).unwrap();
        std::fs::write(records.join("index.txt"), "").unwrap();
        let settings = self.folder.join(format!("{name}-ca.cnf"));
        let content = format!(
            "[ca]\ndefault_ca=one\n[one]\nnew_certs_dir={0}\ndatabase={0}/index.txt\nrand_serial=yes\n\
             default_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n",
            text(&records)
        );
        std::fs::write(&settings, content).unwrap();
        #[rustfmt::skip]
        openssl(&self.folder, &[
            "ca", "-batch", "-notext", "-config", text(&settings), "-in", text(&request),
            "-out", text(&pair.cert), "-cert", text(&self.pair.cert), "-keyfile", text(&self.pair.key),
            "-startdate", from, "-enddate", until, "-extfile", text(&extension_file),
        ]);
        pair
    }

    /// A key, a request for a certificate and the file of extensions the certificate is to have.
    fn request(&self, name: &str, key: Key, extensions: &str) -> (Pair, PathBuf, PathBuf) {
        let file = |suffix: &str| self.folder.join(format!("{name}.{suffix}"));
        let pair = Pair { key: file("key"), cert: file("crt") };
        new_key(&self.folder, &pair.key, key);
        let subject = format!("/CN={name}");
        let request = file("csr");
        let (key_file, request_file) = (text(&pair.key), text(&request));
        #[rustfmt::skip]
        openssl(&self.folder, &["req", "-new", "-key", key_file, "-subj", &subject, "-out", request_file]);
        let extension_file = file("ext");
        std::fs::write(&extension_file, extensions).unwrap();
        (pair, request, extension_file)
    }

    /// Puts the root behind the certificate in a file, as a vendor's "full chain" has it.
    pub(crate) fn complete(&self, cert: &Path) {
        let both = [cert, self.root()].map(|path| std::fs::read_to_string(path).unwrap());
        std::fs::write(cert, both.concat()).unwrap();
    }

    /// A file that holds the certificates of these in this order.
    pub(crate) fn chain(&self, name: &str, certificates: &[&Path]) -> PathBuf {
        let file = self.folder.join(name);
        let content: Vec<String> =
            certificates.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        std::fs::write(&file, content.concat()).unwrap();
        file
    }

    /// A key in another form: `arguments` are openssl's, from after `-in` on.
    pub(crate) fn rewrite(
        &self,
        name: &str,
        command: &str,
        key: &Path,
        arguments: &[&str],
    ) -> PathBuf {
        let file = self.folder.join(name);
        let mut all = vec![command, "-in", text(key), "-out", text(&file)];
        all.extend_from_slice(arguments);
        openssl(&self.folder, &all);
        file
    }

    /// A file with this content in the test's folder.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let file = self.folder.join(name);
        std::fs::write(&file, content).unwrap();
        file
    }
}

/// The two `-F` arguments of an upload.
pub(crate) fn form(key: &Path, cert: &Path) -> [String; 4] {
    let part = |name: &str, path: &Path| format!("{name}=@{}", text(path));
    ["-F".into(), part("keyfile", key), "-F".into(), part("certfile", cert)]
}

/// SHA-256 of the first certificate in a PEM file, in hexadecimal.
pub(crate) fn fingerprint(cert: &Path) -> String {
    let pem = std::fs::read(cert).unwrap();
    let first = rustls_pemfile::certs(&mut &pem[..]).next().unwrap().unwrap();
    hexadecimal(&first)
}

/// SHA-256 of a certificate's DER, in hexadecimal.
pub(crate) fn hexadecimal(der: &[u8]) -> String {
    Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn new_key(folder: &Path, file: &Path, key: Key) {
    let option = match key {
        Key::Rsa(bits) => format!("rsa_keygen_bits:{bits}"),
        Key::Ec(curve) => format!("ec_paramgen_curve:{curve}"),
        Key::Ed25519 | Key::Ed448 => String::new(),
    };
    let algorithm = match key {
        Key::Rsa(_) => "RSA",
        Key::Ec(_) => "EC",
        Key::Ed25519 => "ED25519",
        Key::Ed448 => "ED448",
    };
    let mut arguments = vec!["genpkey", "-algorithm", algorithm, "-out", text(file)];
    if !option.is_empty() {
        arguments.extend(["-pkeyopt", &option]);
    }
    openssl(folder, &arguments);
}

/// Paths of a test's folder are plain ASCII.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
