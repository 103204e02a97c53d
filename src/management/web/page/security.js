
// Certificate, plain HTTP, password, reset; and warnings about what is not secure.

const state = {};

// --- warnings ----------------------------------------------------------------------------

function dangers() {
  const found = [];
  const {certificate, http, password, acme} = state;
  const warn = (words, label, act) => found.push({words, label, act});
  if (overClear) {
    warn('This page came over plain HTTP: others on the network can read and change what you do here.',
      secureUrl && 'Open over HTTPS', secureUrl);
  }
  if (http) {
    warn('Plain HTTP is on: audio, results and passwords can be read on the network.',
      'Switch plain HTTP off…', () => at('http-switch').click());
  }
  const set = () => unfold('password');
  if (password === 'off') {
    warn('Authentication is off: anyone who reaches this appliance can manage it.', 'Set a password', set);
  } else if (password === 'unset' && hasV2) {
    warn(`The password is the default, admin:admin${hasV1 ? ', and version 1 of the API asks for none' : ''}.`,
      'Set a password', set);
  } else if (password === 'unset') {
    warn('There is no password: anyone who reaches this appliance can manage it.', 'Set a password', set);
  } else if (password === 'set' && http && !hasV2) {
    warn('Plain HTTP does not ask for the password, so anyone can replace it.',
      'Switch plain HTTP off…', () => at('http-switch').click());
  }
  if (speechIsOpen()) {
    warn('Speech is open to whoever reaches this appliance: no job token is set.',
      'Set a job token', () => unfold('token'));
  }
  if (certificate?.source === 'default') {
    warn('The certificate is the self-signed default: browsers warn, and clients can’t tell this appliance from an impostor.',
      'Upload a certificate', () => unfold('upload'));
  }
  if (acme?.error) {
    warn(`No certificate comes from ${acme.directory}: ${acme.error.message}.`, 'Show', () => unfold('acme'));
  }
  if (certificate && Date.parse(certificate.not_after) < now()) {
    warn('The certificate has expired: clients refuse it.', 'Upload a certificate', () => unfold('upload'));
  } else if (certificate && !renewed() && Date.parse(certificate.not_after) < now() + 30 * DAY) {
    warn(`The certificate ends soon. ${ending(new Date(certificate.not_after)).words}`,
      'Upload a certificate', () => unfold('upload'));
  }
  return found;
}

let listed = '';

function showDangers() {
  const found = dangers();
  const known = state.certificate && state.password && state.token && state.http !== undefined;
  show('todo', found.length > 0);
  show('secure', Boolean(known) && !found.length);
  const key = JSON.stringify(found);
  if (key === listed) return;
  listed = key;
  at('todo-list').replaceChildren(...found.map(({words, label, act}) => {
    const row = element('li');
    row.append(element('span', words));
    if (!label) return row;
    const way = element(typeof act === 'string' ? 'a' : 'button', label);
    if (typeof act === 'string') {
      way.href = act;
      way.className = 'button';
    } else {
      way.type = 'button';
      way.onclick = act;
    }
    row.append(way);
    return row;
  }));
}

// Whether the certificate is renewed by ACME: its end is then no danger.
const renewed = () => state.certificate?.source === 'acme' && !state.acme?.error;

// --- certificate -----------------------------------------------------------------------------------

function showCertificate(certificate) {
  state.certificate = certificate;
  const own = certificate.source !== 'default';
  const starts = new Date(certificate.not_before), ends = new Date(certificate.not_after);
  const {mood, words} = starts > now()
    ? {mood: 'bad', words: `Not valid before ${day(starts)}, says this appliance’s clock.`} : ending(ends);
  mark('certificate-words', mood === 'warn' && renewed() ? 'good' : mood, 'lead');
  say('certificate-words', words);
  pill('certificate-pill', own ? 'good' : 'warn', own ? 'Yours' : 'Default');
  say('certificate-source', {uploaded: 'uploaded', acme: 'issued and renewed by ACME'}[certificate.source] ?? 'made by this appliance, self-signed');
  say('certificate-subject', certificate.subject);
  say('certificate-names', certificate.names.join(', '));
  say('certificate-issuer', certificate.issuer === certificate.subject ? 'itself' : certificate.issuer);
  say('certificate-dates', `${day(starts)} to ${day(ends)}`);
  say('certificate-key', `${certificate.key_type}, ${count(certificate.chain_length, 'certificate')} in the chain`);
  say('certificate-sha256', certificate.sha256);
  const warnings = certificate.warnings ?? [];
  say('certificate-warnings', warnings.map(text => `Warning: ${text}.`).join('\n'));
  show('certificate-warnings', warnings.length > 0);
  show('default-renew', !own);
  showDangers();
}

onClick('default-renew', 'default-result', 'Making it…', () => ({
  title: 'Make a new default certificate?',
  points: [
    'It gets a new key, and the names and addresses that this appliance has now.',
    'Clients that trust the old one must trust the new one; this browser will warn again.',
  ],
  yes: 'Make a new one',
}), async () => {
  const answer = await call('POST', `${best}/security/sslcertificate/default`);
  return `${answer.message}.`;
});

for (const name of ['upload', 'signed', 'acme']) {
  show(`${name}-form`, !overClear);
  show(`${name}-clear`, overClear);
  if (secureUrl) at(`${name}-https`).href = secureUrl;
  else at(`${name}-https`).hidden = true;
}

async function uploaded(body) {
  const answer = await call('POST', `${best}/security/sslcertificate`, body);
  const warnings = (answer.warnings ?? []).map(text => `Warning: ${text}.\n`).join('');
  return `${answer.message}.\n${warnings}New connections use it at once; open connections keep the old one, so this browser may show the old one until they end.`;
}

onSubmit('upload-form', 'upload-result', 'Uploading…', async form => {
  const words = await uploaded(new FormData(form));
  form.reset();
  return words;
});

// The content of a file decides which field it fills, not its name.
onDrop('upload-form', async files => {
  const form = at('upload-form');
  let taken = 0;
  for (const file of files) {
    const text = file.size > 1 << 20 ? '' : await file.text();
    for (const [name, word] of [['keyfile', 'PRIVATE KEY-----'], ['certfile', 'BEGIN CERTIFICATE']]) {
      if (!text.includes(word)) continue;
      const list = new DataTransfer();
      list.items.add(file);
      form.elements[name].files = list.files;
      taken += 1;
    }
  }
  if (!taken) result('upload-result', 'bad', 'The dropped files hold neither a certificate nor a private key in PEM form.');
  else result('upload-result', '', '');
  form.querySelector('button.main').focus();
});

// --- certificate request ---------------------------------------------------------------------------

function showRequest(answer) {
  show('csr-form', !answer.pending);
  show('csr-pending', answer.pending);
  if (!answer.pending) return;
  const made = answer.created ? `Made on ${day(new Date(answer.created))}` : 'Made by hand';
  say('csr-words', `${made} for ${answer.names.join(', ') || answer.subject}; ${answer.key_type}.`);
  if (at('csr-text').value !== answer.request) at('csr-text').value = answer.request;
}

onSubmit('csr-form', 'csr-result', 'Making the key…', async form => {
  const {names, O, C, key_type: key} = form.elements;
  const given = [['O', O], ['C', C]].filter(([, field]) => field.value.trim());
  const body = {
    names: names.value.split(/[\s,]+/).filter(Boolean),
    subject: Object.fromEntries(given.map(([name, field]) => [name, field.value])),
    key_type: key.value,
  };
  showRequest(await call('POST', `${best}/security/certificaterequest`, body));
  form.reset();
  return 'Made. Send it to your certificate authority.';
});

onClick('csr-drop', 'csr-result', 'Dropping…', () => ({
  title: 'Drop the certificate request?',
  points: [
    'Its private key is destroyed.',
    'A certificate that your authority issues for it can’t be used any more.',
  ],
  yes: 'Drop',
}), async () => {
  const answer = await call('DELETE', `${best}/security/certificaterequest`);
  return `${answer.message}.`;
});

onSubmit('signed-form', 'signed-result', 'Applying…', async form => {
  const body = new FormData();
  body.append('certfile', new Blob([form.elements.certfile.value]), 'appliance.crt');
  const words = await uploaded(body);
  form.reset();
  at('signed-file').value = '';
  return words;
});

async function takeSigned(files) {
  const texts = await Promise.all(files.map(file => file.size > 1 << 20 ? '' : file.text()));
  at('signed-form').elements.certfile.value = texts.join('\n');
  at('signed-form').querySelector('button.main').focus();
}
onDrop('signed-form', takeSigned);
at('signed-file').addEventListener('change', event => takeSigned([...event.target.files]));

// --- plain HTTP ------------------------------------------------------------------------------------

function showHttp({enable_insecure_ports: on}) {
  state.http = on;
  pill('http-pill', on ? 'bad' : 'good', on ? 'On' : 'Off');
  say('http-words', on ? 'Unencrypted connections are accepted.' : 'Only HTTPS is answered.');
  say('http-switch', on ? 'Switch plain HTTP off…' : 'Switch plain HTTP on…');
  show('http-switch', true);
  showDangers();
}

const httpQuestion = () => state.http ? {
  title: 'Switch plain HTTP off?',
  points: [
    'Clients that use plain HTTP or plain WebSockets are refused or redirected to HTTPS from now on, including speech clients.',
    !secureUrl && 'This appliance serves no page over HTTPS: you can then manage it only on its console.',
    overClear && secureUrl && `You came over plain HTTP and will be taken to ${secureUrl}`,
    overClear && state.certificate?.source === 'default' &&
      'Your browser will warn there, because the certificate is still the self-signed default.',
  ],
  yes: 'Switch off', danger: !secureUrl,
} : {
  title: 'Switch plain HTTP on?',
  points: [
    'Audio, results and passwords that clients send over plain HTTP can be read on the network.',
    !hasV2 && 'Plain HTTP asks for no password: anyone who reaches it can manage this appliance.',
  ],
  yes: 'Switch on',
};

onClick('http-switch', 'http-result', 'Switching…', httpQuestion, async () => {
  const wanted = !state.http;
  const answer = await call('POST', `${best}/security/insecureports`, {enable_insecure_ports: wanted});
  if (!wanted && overClear && secureUrl) {
    halt();
    goSecure();
    return `${answer.message}. Going to ${secureUrl}`;
  }
  return `${answer.message}.`;
});

// --- password --------------------------------------------------------------------------------------

show('password-clear', overClear);

function showPassword({admin_password: kind}) {
  state.password = kind;
  const [mood, word, words] = {
    set: ['good', 'Set', 'The user is admin.'],
    unset: hasV2 ? ['bad', 'Default', 'User admin, password admin.'] : ['bad', 'None', 'No password is needed.'],
    off: ['bad', 'Off', 'No password is needed.'],
    locked: ['bad', 'Damaged', 'The password file is damaged: network logins are refused. Set a password, or reset.'],
  }[kind];
  pill('password-pill', mood, word);
  say('password-words', words);
  say('password-remove', hasV1 ? 'Remove password…' : 'Switch authentication off…');
  show('password-remove', kind === 'set' || kind === 'locked' || (kind === 'unset' && !hasV1));
  showDangers();
}

// After the password has changed: logs this browser in if possible.
async function stayLoggedIn(password, words) {
  const asked = hasV2 || !overClear;
  if (!asked || password === null) return words;
  if (await logIn(password)) return `${words}\nThis browser is logged in; others must log in.`;
  locked();
  return words;
}

onSubmit('password-form', 'password-result', 'Setting…', async form => {
  const {password, again} = form.elements;
  if (password.value !== again.value) {
    again.focus();
    throw new ApiError(0, '{"message": "The two passwords differ; nothing was changed."}');
  }
  const chosen = password.value;
  const answer = await call('POST', `${best}/security/adminpassword`, {password: chosen});
  form.reset();
  at('password').open = false;
  // With plain HTTP on, the message is a warning.
  return {mood: state.http ? 'warn' : 'good', words: await stayLoggedIn(chosen, `${answer.message}.`)};
});

const withoutPassword = () => hasV1 && hasV2
  ? 'The password is admin:admin again, and version 1 of the API asks for none.'
  : 'Authentication is off: anyone who reaches this appliance can manage it.';

onClick('password-remove', 'password-result', 'Removing…', () => ({
  title: 'Remove the password?', points: [withoutPassword()], yes: 'Remove password',
}), async () => {
  const answer = await call('DELETE', `${best}/security/adminpassword`);
  return stayLoggedIn(hasV1 && hasV2 ? 'admin' : null, `${answer.message}.`);
});

onClick('reset', 'reset-result', 'Resetting…', () => ({
  title: 'Reset security settings?',
  points: [
    hasV2 ? 'The admin password will be unset: it is admin:admin again.' : 'The admin password will be unset.',
    'The job token will be removed: speech is open again.',
    'Plain HTTP will be re-enabled.',
    'Uploaded certificates will be removed, with their keys; the default one comes back.',
    'ACME ends: no certificate is fetched until it is set again.',
  ],
  yes: 'Reset security',
}), async () => {
  await call('DELETE', `${best}/security/reset`);
  return stayLoggedIn(hasV2 ? 'admin' : null,
    'Security is reset. If this page stops updating, reload it: the certificate has changed.');
});
