
// Services, load, power and the log.

const has = command => told.can.split(' ').includes(command);
const MANAGEMENT = `${best}/management`;

function services(list) {
  const key = JSON.stringify(list);
  if (key === state.services) return;
  state.services = key;
  at('services').replaceChildren(...list.map(([name, status, mood, fault]) => {
    const row = element('li', '');
    const words = element('span', name);
    if (fault) words.append(element('br'), element('span', fault, 'small'));
    row.append(words, element('span', status, `pill ${mood}`));
    return row;
  }));
}

function showServices({service_status: all}) {
  services(all.map(({service, status}) => [service, status, status === 'running' ? 'good' : 'bad', '']));
  const names = all.map(one => one.service), menu = at('logs-form').elements.name;
  if ([...menu.options].map(option => option.value).join() === names.join()) return;
  menu.replaceChildren(...names.map(name => element('option', name)));
  if (names.includes('management')) menu.value = 'management';
}

// Version 2 alone.
function showHealth({status, ...parts}) {
  const moods = {healthy: 'good', unhealthy: 'bad', disabled: ''};
  services(Object.entries(parts).map(([name, part]) =>
    [name.replace('_', ' '), part.status, moods[part.status] ?? '', (part.errors ?? []).join('; ')]));
}

function showShare(id, percentage) {
  const words = `${Math.round(percentage)} %`;
  bar(id, Math.round(percentage), 100, percentage >= 95 ? 'bad' : percentage >= 85 ? 'warn' : '', words);
  say(`${id}-words`, words);
}

function showAbout(about) {
  const {version, appliance_version: second, appliance_variant: variant, languages} = about;
  say('which', [location.hostname, `version ${version ?? second}`, variant, languages && `${count(languages.length, 'language').slice(2)} ${languages.join(', ')}`].filter(Boolean).join(' · '));
  document.title = `${location.hostname} – Appliance management`;
}

say('restart', has('restart') ? 'Restart services…' : 'Ask for license changes');
show('restart', hasV1);
at('report').href = `${MANAGEMENT}/logs/zip`;
show('reboot', has('reboot'));
show('shutdown', has('shutdown'));
show('logs', hasV1);
const missing = ['reboot', 'shutdown'].filter(command => !has(command));
show('power-none', missing.length > 0);
say('power-none', missing.length === 2 ? 'Reboot and shutdown are not set up on this appliance: use its console or host.'
  : `${missing[0] === 'reboot' ? 'Reboot' : 'Shutdown'} is not set up on this appliance.`);

onClick('restart', 'machine-result', has('restart') ? 'Restarting…' : 'Asking…', () => has('restart') ? {
  title: 'Restart the services?',
  points: [
    'Speech that is being transcribed may be cut off.',
    'The appliance also asks the license service for changes of your license.',
  ],
  yes: 'Restart services',
} : null, async () => {
  showServices(await call('DELETE', '/v1/management/services'));
  return has('restart') ? 'Restarted; the list shows which services are running.' : 'Asked; the license section shows the result.';
});

onClick('reboot', 'machine-result', 'Requesting…', () => ({
  title: 'Reboot the appliance?',
  points: ['The machine restarts in one minute and interrupts what is running then. This can’t be cancelled here.', 'This page reconnects by itself.'],
  yes: 'Reboot in one minute',
}), async () => `${(await call('DELETE', `${MANAGEMENT}/reboot`)).confirmation}.`);

onClick('shutdown', 'machine-result', 'Requesting…', () => ({
  title: 'Shut the appliance down?',
  points: ['The machine stops at once and interrupts what is running.', 'It can be started again only from its host or by hand.'],
  yes: 'Shut down now',
}), async () => `${(await call('DELETE', `${MANAGEMENT}/shutdown`)).confirmation}.`);

onSubmit('logs-form', 'logs-result', 'Fetching…', async form => {
  const {name, count: lines} = form.elements;
  const log = await call('GET', `/v1/management/logs/${encodeURIComponent(name.value)}?count=${lines.value}`);
  const text = at('logs-text');
  text.hidden = false;
  text.textContent = log.log_lines || 'There are no lines yet.';
  text.scrollTop = text.scrollHeight;
  return '';
});
