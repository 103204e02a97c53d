
// ACME: an authority that issues the certificate and renews it.

const minute = text => `${new Date(text).toLocaleString('en-GB', {dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC'})} UTC`;

function showAcme(acme) {
  state.acme = acme;
  const {enabled, status, error, renewal, directory} = acme;
  show('acme-words', enabled);
  show('acme-end', enabled);
  if (enabled) {
    mark('acme-words', {valid: 'good', ordering: '', failing: 'bad'}[status], 'notice');
    const told = {valid: 'Certificates come', ordering: 'A certificate is being fetched', failing: 'No certificate comes'};
    say('acme-words', [
      `${told[status]} from ${directory}.`,
      error && `Failing since ${minute(error.since)}: ${error.message}.`,
      error && `Next attempt: ${minute(error.retry)}.`,
      renewal && !error && `Renewal: ${minute(renewal)}.`,
    ].filter(Boolean).join('\n'));
    const form = at('acme-form').elements;
    if (!form.directory.value) {
      form.directory.value = directory;
      form.names.value = (acme.names ?? []).join('\n');
      form.contact.value = (acme.contact ?? []).join(', ');
      form.challenge.value = acme.challenge ?? '';
      form.root.value = acme.root ?? '';
      form.proxy.value = acme.use_license_proxy ? 'yes' : '';
    }
  }
  if (state.certificate) showCertificate(state.certificate);
}

onSubmit('acme-form', 'acme-result', 'Setting…', async form => {
  const {directory, names, contact, challenge, kid, hmac, root, proxy} = form.elements;
  const list = field => field.value.split(/[\s,]+/).filter(Boolean);
  const body = {
    directory: directory.value.trim(), names: list(names), contact: list(contact),
    challenge: challenge.value, root: root.value, use_license_proxy: Boolean(proxy.value),
  };
  if (kid.value) body.external_account = {kid: kid.value, hmac_key: hmac.value};
  const answer = await call('POST', `${best}/security/acme`, body);
  kid.value = hmac.value = '';
  return `${answer.message}.`;
});

onClick('acme-end', 'acme-result', 'Ending…', () => ({
  title: 'End ACME?',
  points: ['The certificate in use stays.', 'It is not renewed any more.'],
  yes: 'End',
}), async () => {
  const answer = await call('DELETE', `${best}/security/acme`);
  at('acme-form').reset();
  return `${answer.message}.`;
});

at('acme-file').addEventListener('change', async event => {
  const [file] = event.target.files;
  if (file && file.size <= 1 << 19) at('acme-form').elements.root.value = await file.text();
  event.target.value = '';
});
