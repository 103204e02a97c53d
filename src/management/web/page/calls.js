
'use strict';
// Calls of the API: which generation, what a failure means, and whom the browser is logged in as.

const told = document.documentElement.dataset;
const mounted = told.api.split(' ');
const hasV1 = mounted.includes('v1'), hasV2 = mounted.includes('v2');
// Where both are there, version 2 for its plain error texts.
const best = hasV2 ? '/v2' : '/v1';
const overClear = location.protocol === 'http:';
const secureUrl = told.https &&
  `https://${location.hostname}${told.https === '443' ? '' : ':' + told.https}/`;

// How long a look may take, and a change: the license service may be slow behind a proxy.
const LOOK = 10_000, CHANGE = 120_000;

// The appliance's clock minus ours: its certificate and license are judged by its own.
let clockAhead = 0;
const now = () => Date.now() + clockAhead;

class Refusal extends Error {
  constructor(status, text) {
    let answer = null;
    try { answer = JSON.parse(text); } catch { /* the 401 and proxies in between speak no JSON */ }
    const said = answer?.message ?? answer?.error ?? '';
    // Version 1 wraps the sentence of a license call.
    super(said.match(/details = "([^"]*)"/)?.[1] || said || `The appliance answered ${status}.`);
    Object.assign(this, {status, text, hint: answer?.hint ?? ''});
  }
}

class Unreachable extends Error {
  constructor() { super('The appliance did not answer. Whether it did what was asked is not known.'); }
}

async function call(method, path, body, patience = CHANGE) {
  const options = {
    method, cache: 'no-store', redirect: 'manual', headers: {Accept: 'application/json'},
    signal: AbortSignal.timeout(patience),
  };
  if (body instanceof FormData) options.body = body;
  else if (body) {
    options.body = JSON.stringify(body);
    options.headers['Content-Type'] = 'application/json';
  }
  let answer, text;
  try {
    answer = await fetch(path, options);
    text = await answer.text();
  } catch {
    throw new Unreachable();
  }
  // Only a shut plain port redirects.
  if (answer.type === 'opaqueredirect') {
    goSecure();
    throw new Unreachable();
  }
  const date = Date.parse(answer.headers.get('Date'));
  if (date && Math.abs(now() - date) > 2000) clockAhead = date - Date.now();
  if (!answer.ok) throw new Refusal(answer.status, text);
  return JSON.parse(text);
}

const look = path => call('GET', path, null, LOOK);

function goSecure() {
  if (secureUrl) location.replace(secureUrl);
}

// Gives the browser new credentials in place of those it sends by itself, so that the person who has
// just chosen them is not asked. False: the browser must ask, on a reload.
function logIn(password) {
  return new Promise(done => {
    const request = new XMLHttpRequest();
    request.open('GET', `${best}/security/adminpassword`, true, 'admin', password);
    request.onloadend = () => {
      // Chromium keeps the password in the address of such an entry.
      performance.clearResourceTimings();
      done(request.status === 200);
    };
    request.send();
  });
}
