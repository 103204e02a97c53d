
// The job token, which clients of jobs and realtime send.

show('token-clear', overClear);

// With version 1 alone the password protects speech too, over HTTPS.
const speechIsOpen = () => state.token === 'unset' && (hasV2 || state.http || state.password !== 'set');

function showToken({job_token: kind}) {
  state.token = kind;
  const [mood, word, words] = {
    set: ['good', 'Set', 'Jobs and realtime need it.'],
    unset: speechIsOpen() ? ['bad', 'None', 'Speech is open to whoever reaches this appliance.']
      : ['', 'None', 'Speech needs the password.'],
    locked: ['bad', 'Damaged', 'The job token’s file is damaged: every token is refused. Set one, or remove it.'],
  }[kind];
  pill('token-pill', mood, word);
  say('token-words', words);
  show('token-remove', kind !== 'unset');
  showDangers();
}

at('token-make').addEventListener('click', () => {
  const bytes = [...crypto.getRandomValues(new Uint8Array(32))];
  const field = at('token-form').elements.token;
  field.value = bytes.map(byte => byte.toString(16).padStart(2, '0')).join('');
  field.select();
});

onSubmit('token-form', 'token-result', 'Setting…', async form => {
  const answer = await call('POST', `${best}/security/jobtoken`, {user_token: form.elements.token.value.trim()});
  form.reset();
  at('token').open = false;
  const warnings = answer.warnings ?? [];
  return {mood: warnings.length ? 'warn' : 'good', words: [answer.message, ...warnings].map(text => `${text}.`).join('\n')};
});

onClick('token-remove', 'token-result', 'Removing…', () => ({
  title: 'Remove the job token?',
  points: ['Jobs and realtime will be open to whoever reaches this appliance.'],
  yes: 'Remove job token',
}), async () => {
  const answer = await call('DELETE', `${best}/security/jobtoken`);
  return {mood: 'warn', words: `${answer.message}.`};
});
