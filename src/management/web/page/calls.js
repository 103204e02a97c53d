
'use strict';
// API calls: which generation to use, errors, and the browser's login.

const told = document.documentElement.dataset;
const mounted = told.api.split(' ');
const hasV1 = mounted.includes('v1'), hasV2 = mounted.includes('v2');
// Version 2 if it is mounted, because its error texts are plain.
const best = hasV2 ? '/v2' : '/v1';
const overClear = location.protocol === 'http:';
const secureUrl = told.https &&
  `https://${location.hostname}${told.https === '443' ? '' : ':' + told.https}/`;

// Timeouts of reading and of changing; the license service may be slow behind a proxy.
const READ_TIMEOUT = 10_000, CHANGE_TIMEOUT = 120_000;

// The appliance's clock minus ours: the dates of its certificate and license are compared with its clock.
let clockAhead = 0;
const now = () => Date.now() + clockAhead;

class ApiError extends Error {
  constructor(status, text) {
    let answer = null;
    try { answer = JSON.parse(text); } catch { /* the 401 and proxies in between don't send JSON */ }
    const said = answer?.message ?? answer?.error ?? '';
    // Version 1 wraps the error message of a license call.
    super(said.match(/details = "([^"]*)"/)?.[1] || said || `The appliance answered ${status}.`);
    Object.assign(this, {status, text, hint: answer?.hint ?? ''});
  }
}

class Unreachable extends Error {
  constructor() { super('The appliance did not answer. It may or may not have made the change.'); }
}

async function call(method, path, body, timeout = CHANGE_TIMEOUT) {
  const options = {
    method, cache: 'no-store', redirect: 'manual', headers: {Accept: 'application/json'},
    signal: AbortSignal.timeout(timeout),
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
  // Only a plain HTTP port redirects, once plain HTTP is off.
  if (answer.type === 'opaqueredirect') {
    goSecure();
    throw new Unreachable();
  }
  const date = Date.parse(answer.headers.get('Date'));
  if (date && Math.abs(now() - date) > 2000) clockAhead = date - Date.now();
  if (!answer.ok) throw new ApiError(answer.status, text);
  return JSON.parse(text);
}

const read = path => call('GET', path, null, READ_TIMEOUT);

function goSecure() {
  if (secureUrl) location.replace(secureUrl);
}

// Replaces the credentials that the browser sends by itself, so that it does not ask for a password that
// was just set. False: the browser will ask on a reload.
function logIn(password) {
  return new Promise(done => {
    const request = new XMLHttpRequest();
    request.open('GET', `${best}/security/adminpassword`, true, 'admin', password);
    request.onloadend = () => {
      // Chromium keeps the password in the URL of such an entry.
      performance.clearResourceTimings();
      done(request.status === 200);
    };
    request.send();
  });
}
