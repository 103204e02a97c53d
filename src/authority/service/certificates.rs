//! Requests that come in certificates, from appliances without a network.

use super::{Channel, Service, Stage, unknown_license};
use crate::license::protocol::certificate::Certificate;
use crate::license::protocol::message::{Answer, Denial, Kind, Op};
use crate::license::protocol::wire;
use crate::license::protocol::wire::Sealed;
use crate::store::Error;

impl Service {
    /// Answers an activation certificate with a license certificate; the same one gives the same answer.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn sign(&self, text: &str, now: i64) -> Result<String, Error> {
        let sealed = match Certificate::read(text) {
            Ok(Certificate::Activation(sealed)) => sealed,
            Ok(other) => return Err(Error::new(format!("this is {}", other.kind()))),
            Err(error) => return Err(Error::new(error.to_string())),
        };
        let (answer, _) = self.by_certificate(&sealed, &[Op::Activate, Op::Sync], now)?;
        let token = answer.token.ok_or_else(|| Error::new("the answer holds no token"))?;
        Certificate::License(token)
            .write()
            .ok_or_else(|| Error::new("the license certificate would be longer than 65535 bytes"))
    }

    /// Credits the seconds of a return certificate, once. Returns their number, and whether they were
    /// credited now.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn redeem(&self, text: &str, now: i64) -> Result<(i64, bool), Error> {
        let sealed = match Certificate::read(text) {
            Ok(Certificate::Return(sealed)) => sealed,
            Ok(other) => return Err(Error::new(format!("this is {}", other.kind()))),
            Err(error) => return Err(Error::new(error.to_string())),
        };
        let (answer, moved) = self.by_certificate(&sealed, &[Op::Return], now)?;
        match answer.kind {
            Kind::Returned => Ok((answer.returned, moved)),
            _ => Err(Error::new(
                "its totals differ from the license's records, so all seconds it held were charged; correct that with \
                `license-authority credit`, and free its seat with `license-authority release`",
            )),
        }
    }

    /// The answer, and whether it moved seconds now.
    fn by_certificate(
        &self,
        sealed: &Sealed,
        ops: &[Op],
        now: i64,
    ) -> Result<(Answer, bool), Error> {
        let keys = self.keys();
        let opened = wire::open_certificate(sealed, &keys.request_keys)
            .map_err(|error| Error::new(format!("the certificate is not genuine: {error}")))?;
        if !ops.contains(&opened.request.op) {
            return Err(Error::new(format!(
                "the certificate holds a `{}` request, which this command does not take",
                opened.request.op.name()
            )));
        }
        let answer =
            self.account(&keys, &opened.request, &opened.device, Channel::Certificate, now);
        let unknown = || (unknown_license(&opened.request, Stage::Free, now), false);
        let (answer, moved) = answer?.unwrap_or_else(unknown);
        match answer.kind {
            Kind::Denied
                if opened.request.op == Op::Return && answer.denial == Some(Denial::Duplicate) =>
            {
                Err(Error::new(
                    "this activation holds no seconds: it was returned or released before, or a later \
                    activation took its seat",
                ))
            }
            Kind::Denied => Err(Error::new(answer.message)),
            Kind::Stale => Err(Error::new(
                "this request was answered before, and the appliance has sent a newer one since",
            )),
            _ => Ok((answer, moved)),
        }
    }
}
