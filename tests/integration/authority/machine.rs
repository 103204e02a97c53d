//! An appliance as the authority meets it: the library's own messages over real sockets.

use std::io;
use std::net::SocketAddr;

use applianced::protocol::certificate::Certificate;
use applianced::protocol::claims::{Lease, Receipt};
use applianced::protocol::hex::{Digest, RequestId};
use applianced::protocol::key::SigningKey;
use applianced::protocol::message::{Answer, Kind, Mode, Op, ReportedClock, Request, User};
use applianced::protocol::token::Type;
use applianced::protocol::trust::{Dates, Trust};
use applianced::protocol::wire::{self, AnswerError};

use crate::support::client::Client;

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Machine {
    pub(crate) device: SigningKey,
    pub(crate) trust: Trust,
    pub(crate) code: String,
    pub(crate) computer_id: String,
    pub(crate) epoch: i64,
    pub(crate) seq: i64,
    pub(crate) prev: Digest,
    pub(crate) granted: i64,
    pub(crate) consumed: i64,
}

impl Machine {
    pub(crate) fn new(code: &str, trust: Trust) -> Machine {
        let id = RequestId::random().unwrap().to_string();
        let computer_id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        Machine {
            device: SigningKey::generate().unwrap(),
            trust,
            code: code.to_owned(),
            computer_id,
            epoch: 0,
            seq: 0,
            prev: Digest::NONE,
            granted: 0,
            consumed: 0,
        }
    }

    pub(crate) fn request(&self, op: Op) -> Request {
        Request {
            op,
            req_id: RequestId::random().unwrap(),
            ts: 0,
            license: self.code.clone(),
            product: "103".to_owned(),
            version: "5.0.0".to_owned(),
            computer_id: self.computer_id.clone(),
            prev_computer_id: None,
            epoch: self.epoch,
            seq: self.seq,
            prev: self.prev,
            consumed: self.consumed,
            granted: self.granted,
            want: 2_147_483_647,
            mode: Mode::Online,
            log_head: Digest::NONE,
            clock: ReportedClock { wall: 0, regressions: 0 },
            bundle_seq: self.trust.bundle().seq,
            instead_of: None,
            user: User { email_address: "somebody@example.com".to_owned(), ..User::default() },
        }
    }

    /// Sends a question, sealed anew; the error is that of the network or of an unsealed answer.
    pub(crate) fn send(&self, address: SocketAddr, request: &Request) -> io::Result<Answer> {
        let sealed = wire::seal(request, &self.trust, NOW, &self.device).unwrap();
        let (_, body) = post(address, &sealed.body)?;
        sealed.opener.open(&body).map_err(io::Error::other)
    }

    /// Asks and takes the answer in.
    pub(crate) fn ask(&mut self, address: SocketAddr, op: Op) -> Answer {
        let answer = self.send(address, &self.request(op)).unwrap();
        self.take_in(op, &answer);
        answer
    }

    /// What a careful appliance does with an answer: verifies it, and checks that it is its own.
    pub(crate) fn take_in(&mut self, op: Op, answer: &Answer) {
        if let Some(bundle) = &answer.bundle {
            self.trust.accept(bundle).unwrap();
        }
        let token = answer.token.as_deref();
        match answer.kind {
            Kind::Lease | Kind::Reset => {
                let token = token.unwrap();
                let now = Dates::At(answer.server_time);
                let lease = self.trust.verify(Type::Lease, token, now).unwrap();
                self.hold(&Lease::from_json(&lease).unwrap(), token);
                if answer.kind == Kind::Reset || op == Op::Activate {
                    self.consumed = 0;
                }
            }
            Kind::Returned => {
                let now = Dates::At(answer.server_time);
                let receipt = self.trust.verify(Type::ReturnReceipt, token.unwrap(), now).unwrap();
                let receipt = Receipt::from_json(&receipt).unwrap();
                assert_eq!(receipt.returned, answer.returned);
                (self.seq, self.granted, self.consumed) = (0, 0, 0);
                (self.epoch, self.prev) = (receipt.epoch, Digest::NONE);
            }
            Kind::Denied | Kind::Stale | Kind::Probe => assert_eq!(token, None),
        }
    }

    fn hold(&mut self, lease: &Lease, token: &str) {
        assert_eq!((&lease.license, &lease.computer_id), (&self.code, &self.computer_id));
        assert_eq!(lease.device, self.device.public().fingerprint());
        (self.epoch, self.seq, self.granted) = (lease.epoch, lease.seq, lease.granted);
        self.prev = Digest::of(token.as_bytes());
    }

    /// The question as a certificate of that kind.
    pub(crate) fn certificate(&self, op: Op) -> String {
        let request = Request { mode: Mode::Offline, ..self.request(op) };
        let sealed = wire::seal(&request, &self.trust, NOW, &self.device).unwrap().sealed;
        let certificate = match op {
            Op::Return => Certificate::Return(sealed),
            _ => Certificate::Activation(sealed),
        };
        certificate.write().unwrap()
    }

    /// Applies a license certificate; what it grants.
    pub(crate) fn apply(&mut self, text: &str, now: i64) -> Lease {
        let Certificate::License(token) = Certificate::read(text).unwrap() else { unreachable!() };
        let lease = self.trust.verify_certificate(&token, Dates::At(now)).unwrap();
        let lease = Lease::from_json(&lease).unwrap();
        self.hold(&lease, &token);
        lease
    }
}

/// Status and body of the answer to a posted body.
pub(crate) fn post(address: SocketAddr, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        wire::PATH,
        body.len()
    );
    exchange(address, &[head.as_bytes(), body].concat())
}

/// Status and body of the answer to raw bytes.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let mut client = Client::try_plain(address.port())?;
    client.try_send(bytes)?;
    let answer = client.try_answer("POST")?;
    Ok((answer.status, answer.body))
}

/// Whether the error is an unsealed answer of this kind.
pub(crate) fn is(error: &io::Error, kind: &AnswerError) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<AnswerError>()) == Some(kind)
}
