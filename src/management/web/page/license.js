
// The license: its state, and every way to activate or return it.

const LICENSE = `${best}/management/license`;

// The numbers of `status`; positive ones are valid.
const STATES = {
  '-113': ['bad', 'No license', 'New speech is refused until a license is activated.'],
  '-9': ['warn', 'Awaiting certificate', 'The activation certificate was made; the license certificate is not applied yet.'],
  '-116': ['bad', 'Expired', 'New speech is refused.'],
  '-1': ['bad', 'Lease over', 'New speech is refused.'],
  '-114': ['bad', 'Withdrawn', 'New speech is refused.'],
  '-117': ['bad', 'Used elsewhere', 'New speech is refused.'],
  '-6': ['warn', 'Being returned', 'New speech is refused.'],
  '-5': ['bad', 'Damaged', 'New speech is refused.'],
};

// The value for "no limit".
const UNLIMITED = 2_147_483_647;

function showLicense(license) {
  state.license = license;
  const number = license.status.split(' ')[0];
  const ends = new Date(license.subscription_expiry);
  const byCertificate = license.activation_type.startsWith('2');
  const empty = license.licensed && license.transcription_secs_allowed === 0;
  let [mood, word, words] = STATES[number] ?? ['bad', 'Not valid', 'New speech is refused.'];
  if (license.licensed) {
    const end = ending(ends);
    words = empty ? 'No seconds left: new speech is refused.' : end.words;
    mood = empty ? 'bad' : end.mood === 'bad' ? 'warn' : end.mood;
    word = empty ? 'Used up' : mood === 'good' ? 'Valid' : 'Valid, ending';
  }
  if (number === '-116') words = `${ending(ends).words} ${words}`;
  pill('license-pill', mood, word);
  mark('license-words', mood, 'lead');
  say('license-words', words);
  // The end is shown above.
  const message = license.message.split('; ').filter(part => !/^expire[sd] on [^,]+$/.test(part)).join('; ');
  say('license-message', message);
  show('license-message', Boolean(message));
  say('license-error', license.error_message);
  show('license-error', Boolean(license.error_message));
  showSeconds(license, byCertificate);
  say('license-status', license.status);
  say('license-code', license.license_code ? `ends in ${license.license_code.slice(-4)}` : 'none');
  say('license-kind', [license.license_type, license.activation_type].map(kind => kind.replace(/^\d+ License (is|was) /, '')).filter(Boolean).join(', ') || 'none');
  say('license-product', license.product);
  say('license-customer', String(license.customer_id));
  say('license-contact', license.offline ? 'offline: nothing is sent'
    : license.connected ? 'connected' : 'not connected');
  say('license-computer', license.computer_id);
  showWays(license, number, byCertificate);
}

function showSeconds(license, byCertificate) {
  const {transcription_secs_allowed: left, transcription_secs_allocated: most} = license;
  show('seconds', license.licensed);
  if (!license.licensed) return;
  const of = most >= UNLIMITED ? 'no limit set' : `${seconds(most)} allocated`;
  const words = `${seconds(left)} left here (${left.toLocaleString('en')} seconds); ${of}.` +
    (license.offline || byCertificate ? '' : ' More seconds are fetched before these are used up.');
  bar('seconds-bar', left, most >= UNLIMITED ? left : most, left === 0 ? 'bad' : '', words);
  say('seconds-words', words);
}

let first = true;

function showWays(license, number, byCertificate) {
  const offlineMode = license.offline && !byCertificate;
  say('mode-switch', license.offline ? 'Leave offline mode' : 'Go offline…');
  show('mode-switch', offlineMode || (license.licensed && !license.offline));
  const something = number !== '-113' || license.message !== '';
  say('license-remove', license.licensed ? 'Remove license…' : number === '-9' ? 'Drop the request…' : 'Remove what is left…');
  show('license-remove', something && !license.offline);
  show('license-stays', license.offline);
  show('license-return', license.offline && byCertificate);
  say('license-stays', byCertificate
    ? 'Activated with a certificate: to give it back, a return certificate goes to the vendor.'
    : 'To remove the license, leave offline mode first.');
  if (first && !license.licensed) at(number === '-9' ? 'offline' : 'activate').open = true;
  first = false;
}

for (const place of document.querySelectorAll('fieldset')) place.append(at('who').content.cloneNode(true));

// The filled fields of a form.
function filled(form) {
  const fields = [...new FormData(form)].map(([name, value]) => [name, value.trim()]);
  return Object.fromEntries(fields.filter(field => field[1]));
}

const licensed = license => `License active: ${seconds(license.transcription_secs_allowed)} here, until ${day(new Date(license.subscription_expiry))}.`;

// --- online ----------------------------------------------------------------------------------------

onSubmit('activate-form', 'activate-result', 'Asking the license service…', async form => {
  const license = await call('POST', LICENSE, filled(form));
  form.reset();
  return licensed(license);
});

onClick('license-remove', 'license-result', 'Removing…', () => state.license.licensed ? {
  title: 'Remove the license?',
  points: [
    'New speech is refused at once; running transcriptions may finish.',
    `${seconds(state.license.transcription_secs_allowed)} go back to your vendor’s account.`,
    'To use it here again you need the license code again.',
  ],
  yes: 'Remove license',
} : state.license.status.startsWith('-9 ') ? {
  title: 'Drop the request?',
  points: ['A license certificate for your activation certificate can then no longer be applied.'],
  yes: 'Drop the request',
} : {
  title: 'Remove what is left?',
  points: ['This appliance deletes what it still stores about the license, including a pending activation certificate.'],
  yes: 'Remove',
}, async () => {
  const answer = await call('DELETE', LICENSE);
  return `Removed; ${count(answer.transcription_secs_returned, 'second')} returned.`;
});

onClick('mode-switch', 'license-result', 'Asking the license service…', () => state.license.offline ? null : {
  title: 'Go offline?',
  points: [
    'The appliance first fetches all the seconds it may hold offline, then sends nothing more to the license service.',
    'Changes to your license are not noticed, and it can’t be removed, until you leave offline mode.',
  ],
  yes: 'Go offline', danger: false,
}, async () => {
  const license = await call('POST', `${LICENSE}/offlinemode`, {offline: !state.license.offline});
  return license.offline ? 'Offline: nothing is sent any more.' : 'Online again.';
});

// --- offline ---------------------------------------------------------------------------------------

onSubmit('request-form', 'request-result', 'Making it…', async form => {
  const fields = filled(form);
  const {certificate} = await call('POST', `${LICENSE}/offlineactivation`, fields);
  at('request-text').value = certificate;
  at('request').hidden = false;
  const answer = at('answer-form').elements.license;
  answer.value ||= fields.license;
  return 'Made. Making it again gives the same one.';
});

// Buttons that download and copy the certificate shown in a field.
function certificateButtons(name, file) {
  at(`${name}-save`).addEventListener('click', () => {
    const link = element('a');
    link.href = URL.createObjectURL(new Blob([at(`${name}-text`).value.trim() + '\n'], {type: 'text/plain'}));
    link.download = file;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  at(`${name}-copy`).addEventListener('click', async () => {
    const text = at(`${name}-text`);
    text.select();
    try {
      // Available over HTTPS only.
      if (navigator.clipboard) await navigator.clipboard.writeText(text.value);
      else if (!document.execCommand('copy')) throw new Error();
      result(`${name}-copied`, 'good', 'Copied.');
    } catch {
      result(`${name}-copied`, 'warn', 'The browser does not let this page copy; the text is selected, copy it yourself.');
    }
  });
}
certificateButtons('csr', 'appliance.csr');
certificateButtons('request', 'activation-certificate.txt');
certificateButtons('return', 'return-certificate.txt');

onClick('license-return', 'license-result', 'Removing…', () => ({
  title: 'Give the license back?',
  points: [
    'New speech is refused at once; running transcriptions may finish.',
    'You get a return certificate. Your vendor needs it to credit the unused seconds: keep it until you have sent it.',
    'To use the license here again you need a new license certificate.',
  ],
  yes: 'Give back',
}), async () => {
  const {certificate, transcription_secs_returned: returned} = await call('DELETE', `${LICENSE}/offlineactivation`);
  at('return-text').value = certificate;
  at('return').hidden = false;
  return `Removed. Send this certificate to your vendor: ${count(returned, 'second')} are returned with it.`;
});

onSubmit('answer-form', 'answer-result', 'Applying…', async form => {
  const fields = filled(form);
  const license = await call('PUT', `${LICENSE}/offlineactivation`, fields);
  form.reset();
  at('request-form').reset();
  at('request-text').value = '';
  at('request').hidden = at('return').hidden = true;
  result('request-result', '', '');
  return licensed(license);
});

async function takeAnswer(files) {
  const text = files[0].size > 1 << 16 ? '' : (await files[0].text()).trim();
  if (text) at('answer-form').elements.certificate.value = text;
  result('answer-result', text ? '' : 'bad', text ? '' : 'That file is not a license certificate: it is empty or larger than 64 KiB.');
}
at('answer-file').addEventListener('change', event => event.target.files.length && takeAnswer(event.target.files));
onDrop('answer-form', takeAnswer);

// --- proxy -----------------------------------------------------------------------------------------

let typed = false;
at('proxy-form').addEventListener('input', () => { typed = true; });

function showProxy({http_configuration: proxy}) {
  say('proxy-words', proxy.ip ? `${proxy.ip}, port ${proxy.port}` : 'none');
  show('proxy-clear', Boolean(proxy.ip));
  if (typed) return;
  const {ip, port, user, password} = at('proxy-form').elements;
  ip.value = proxy.ip ?? '';
  port.value = proxy.port ?? '';
  user.value = proxy.user ?? '';
  // The API returns eight asterisks in place of the stored password.
  password.value = proxy.password ?? '';
}

async function setProxy(settings) {
  const answer = await call('POST', `${LICENSE}/network`, {http_configuration: settings});
  typed = false;
  showProxy(answer);
  return answer.http_configuration.ip ? 'Saved. The next call to the license service goes through it.' : 'No proxy is used.';
}

onSubmit('proxy-form', 'proxy-result', 'Saving…', form => setProxy(filled(form)));
onClick('proxy-clear', 'proxy-result', 'Saving…', () => null, () => setProxy({}));
