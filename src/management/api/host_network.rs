//! `host/setdhcp`, `host/setipaddress` and `host/confirmnetwork`: the network of the machine, by the image's own
//! command.

use std::sync::Arc;

use serde_json::{Value, json};

use super::body::{Body, Fault};
use super::power::{configured, confirmed};
use super::request::Request;
use super::response::{Answer, Code, Response};
use crate::helper::CommandKind;
use crate::management::Context;
use crate::network::{
    Error, InForce, NetworkSettings, Report, Settings, Static, TRIAL, Trial, parse_hostname,
};
use crate::security::addresses_of_this_machine;

const DHCP: &str = r#"{}"#;

const ADDRESS: &str = r#"{"address": "192.0.2.7", "netmask": "255.255.255.0", "gateway": "192.0.2.1", "nameservers": ["192.0.2.53"]}"#;

/// The settings, what is in force, and a change on trial.
pub(crate) fn show(context: &Context, _: &mut Request) -> Answer {
    Ok(Response::json(&describe(&network(context)?.report())))
}

pub(crate) fn set_dhcp(context: &Context, request: &mut Request) -> Answer {
    let network = network(context)?;
    let wanted = dhcp(request, network).map_err(refused)?;
    set(context, network, request, wanted)
}

pub(crate) fn set_address(context: &Context, request: &mut Request) -> Answer {
    let network = network(context)?;
    let wanted = fixed(request, network).map_err(refused)?;
    set(context, network, request, wanted)
}

/// Keeps the change on trial.
pub(crate) fn confirm(context: &Context, request: &mut Request) -> Answer {
    let network = network(context)?;
    Body::read_optional(request, &[], DHCP).map_err(refused)?;
    let at = request.peer.and(request.local);
    if request.peer.is_some() && at.is_none() {
        // The connection is gone, and with it who would read this.
        return Err(Response::internal());
    }
    network.confirm(at).map_err(failed)?;
    let by = request.actor();
    context.log.security(format_args!("the change of the network was confirmed by {by}"));
    Ok(confirmed("the new network settings are kept"))
}

fn network(context: &Context) -> Result<&Arc<NetworkSettings>, Response> {
    configured(context, CommandKind::Network)?;
    context.network.as_ref().ok_or_else(Response::internal)
}

fn dhcp(request: &mut Request, network: &NetworkSettings) -> Result<Settings, Fault> {
    let mut body = Body::read_optional(request, &["hostname"], DHCP)?;
    Ok(Settings { fixed: None, hostname: hostname(&mut body, network)? })
}

fn fixed(request: &mut Request, network: &NetworkSettings) -> Result<Settings, Fault> {
    let known = ["address", "netmask", "gateway", "nameservers", "hostname"];
    let mut body = Body::read(request, &known, ADDRESS)?;
    let address = body.string("address")?;
    let mask = match body.take("netmask") {
        Some(Value::String(mask)) => mask,
        Some(Value::Number(prefix)) => prefix.to_string(),
        Some(_) => return Err(body.wrong("\"netmask\" is neither a string nor a number")),
        None => return Err(body.wrong("the body has no \"netmask\"")),
    };
    let gateway = body.string("gateway")?;
    let servers = match body.take("nameservers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(servers)) => servers,
        Some(_) => return Err(body.wrong("\"nameservers\" is not a list")),
    };
    let Some(servers) = servers.iter().map(Value::as_str).collect::<Option<Vec<&str>>>() else {
        return Err(body.wrong("a name server is not a string"));
    };
    let fixed =
        Static::parse(&address, &mask, &gateway, &servers).map_err(|what| body.wrong(what))?;
    Ok(Settings { fixed: Some(fixed), hostname: hostname(&mut body, network)? })
}

/// The host name of the body; without one, that which was set before.
fn hostname(body: &mut Body, network: &NetworkSettings) -> Result<Option<String>, Fault> {
    match body.optional_string("hostname")? {
        Some(name) => parse_hostname(&name).map(Some).map_err(|what| body.wrong(what)),
        None => Ok(network.report().kept.and_then(|kept| kept.hostname)),
    }
}

/// A client on the network gets its answer first, and confirms later.
fn set(
    context: &Context,
    network: &Arc<NetworkSettings>,
    request: &Request,
    wanted: Settings,
) -> Answer {
    let what = wanted.address().map_or("DHCP".to_owned(), |address| address.to_string());
    let done = match request.peer {
        None => network.set(&wanted),
        Some(_) => network.try_later(wanted),
    };
    done.map_err(failed)?;
    context
        .log
        .security(format_args!("change of the network to {what} requested by {}", request.actor()));
    if request.peer.is_none() {
        return Ok(confirmed("the new network settings are in use and are kept"));
    }
    let generation = request.path.get(..3).unwrap_or_default();
    let at = match what.as_str() {
        "DHCP" => "the address that DHCP gives".to_owned(),
        address => format!("the new address, {address}"),
    };
    Ok(confirmed(&format!(
        "the network changes in a second; confirm it within {} s with POST {generation}/management/host/confirmnetwork \
         at {at}, or the change is undone",
        TRIAL.as_secs()
    )))
}

fn refused(fault: Fault) -> Response {
    fault.management_answer()
}

fn failed(error: Error) -> Response {
    match error {
        Error::Conflict(text) => Response::error(Code::Aborted, &text),
        Error::Failed(text) => Response::error(Code::Internal, &text),
    }
}

fn describe(report: &Report) -> Value {
    let now = InForce::read(&addresses_of_this_machine());
    let text =
        |address: Option<std::net::Ipv4Addr>| address.map(|a| a.to_string()).unwrap_or_default();
    json!({
        "method": report.kept.as_ref().map_or("image", method),
        "address": text(now.address.map(|pair| pair.0)),
        "netmask": text(now.address.map(|pair| pair.1)),
        "gateway": text(now.gateway),
        "nameservers": now.nameservers,
        "hostname": now.hostname,
        "trial": report.trial.as_ref().map(describe_trial),
        "error": report.failure.as_deref().unwrap_or_default(),
    })
}

fn describe_trial(trial: &Trial) -> Value {
    json!({
        "method": method(&trial.settings),
        "address": trial.settings.address().map(|address| address.to_string()).unwrap_or_default(),
        "in_use": trial.left.is_some(),
        "seconds_left": trial.left.unwrap_or(TRIAL).as_secs(),
    })
}

fn method(settings: &Settings) -> &'static str {
    if settings.fixed.is_some() { "static" } else { "dhcp" }
}
