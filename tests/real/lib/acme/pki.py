"""The certificates around ACME: a private root, its intermediates, and what they sign."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

YEAR = 365 * 86_400


def now(seconds=0):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


class Issuer:
    """A root, or with `signer` an intermediate; its files are `NAME.pem` and `NAME.key` in `folder`."""

    def __init__(self, folder, name, signer=None):
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = new_key()
        self.signer = signer
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = _begun(self.name, (signer or self).name, self.key.public_key(), -60, YEAR)
        builder = builder.add_extension(x509.BasicConstraints(True, None), True).add_extension(usage, True)
        self.certificate = _linked(builder, self.key.public_key(), signer or self)
        self.pem, self.key_file = folder / f"{name}.pem", folder / f"{name}.key"
        self.pem.write_bytes(self.certificate.public_bytes(Encoding.PEM))
        self.key_file.write_bytes(pem_of(self.key))
        self.folder = folder

    def sign(self, public_key, names, begins=-1, ends=YEAR):
        """A certificate of a server, as PEM; `begins` and `ends` are seconds from now."""
        builder = _begun(x509.Name([]), self.name, public_key, begins, ends)
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        builder = builder.add_extension(alternatives, True).add_extension(server, False)
        return _linked(builder, public_key, self).public_bytes(Encoding.PEM).decode()

    def server(self, host, begins=-60, ends=YEAR):
        """Certificate and key of a server of ours, as files."""
        key = new_key()
        pem, key_file = self.folder / f"{host.name}.pem", self.folder / f"{host.name}.key"
        pem.write_text(self.sign(key.public_key(), [host.name], begins, ends))
        key_file.write_bytes(pem_of(key))
        return pem, key_file


def pem_of(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _begun(subject, issuer, public_key, begins, ends):
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now(begins))
        .not_valid_after(now(ends))
    )


def _linked(builder, public_key, issuer):
    own = x509.SubjectKeyIdentifier.from_public_key(public_key)
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return builder.add_extension(own, False).add_extension(above, False).sign(issuer.key, hashes.SHA256())
