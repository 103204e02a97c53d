
// Network and clock: changes that may cut this page off, confirmed by it when it comes back.

const HOST = `${best}/management/host`;
let network = null, confirming = false;

function showNetwork(answer) {
  const {method, address, netmask, gateway, nameservers, hostname, trial, error} = network = answer;
  say('network-method', {dhcp: 'DHCP', static: 'a static address'}[method] ?? 'those of the image');
  say('network-address', address ? `${address}, netmask ${netmask}` : 'none');
  say('network-gateway', gateway || 'none');
  say('network-nameservers', nameservers.join(', ') || 'none');
  say('network-hostname', hostname);
  show('network-error', Boolean(error) && !trial);
  say('network-error', error && `The last change is not in use: ${error}.`);
  show('network-trial', Boolean(trial));
  if (!trial) return fill();
  const place = trial.address ? '' : ' this page at the address that DHCP has given.';
  say('network-trial-words', trial.in_use
    ? `New settings are on trial, and are undone in ${trial.seconds_left} s unless they are confirmed: open${place}`
    : 'New settings are being made.');
  const url = trial.in_use && trial.address ? newUrl(trial.address) : '';
  show('network-trial-link', Boolean(url));
  say('network-trial-link', url);
  at('network-trial-link').href = url;
  queue.push('network');
  if (trial.in_use) confirmNetwork();
}

// Refused at any but the new address.
async function confirmNetwork() {
  if (confirming) return;
  confirming = true;
  try {
    const answer = await call('POST', `${HOST}/confirmnetwork`, {}, READ_TIMEOUT);
    result('network-result', 'good', `Confirmed: ${answer.confirmation}.`);
  } catch (error) {
    if (!(error instanceof ApiError || error instanceof Unreachable)) throw error;
  } finally {
    confirming = false;
  }
}

const newUrl = address => `${location.protocol}//${address}${location.port ? `:${location.port}` : ''}${location.pathname}`;

// Once: what is typed is not overwritten.
function fill() {
  const form = at('network-form').elements;
  if (form.method.dataset.filled) return;
  form.method.dataset.filled = 'yes';
  form.method.value = network.method === 'static' ? 'static' : 'dhcp';
  for (const name of ['address', 'netmask', 'gateway']) form[name].value = network[name];
  form.nameservers.value = network.nameservers.join(', ');
  chooseMethod();
}

function chooseMethod() {
  const form = at('network-form').elements, fixed = form.method.value === 'static';
  show('network-static', fixed);
  form.address.required = form.netmask.required = fixed;
}

// Asks with the words that `question` gets from the appliance, then makes the change.
function onAskedSubmit(id, place, doing, question, change) {
  at(id).addEventListener('submit', async event => {
    event.preventDefault();
    const form = event.target, button = form.querySelector('button.main');
    if (button.ariaDisabled === 'true') return;
    try {
      if (await ask(await question(form.elements))) act(button, place, doing, () => change(form.elements));
    } catch (error) {
      failed(place, error);
    }
  });
}

onAskedSubmit('network-form', 'network-result', 'Changing…', ({method, address}) => ({
  title: 'Change the network?',
  points: [
    method.value === 'static' ? `The address becomes ${address.value.trim()}.` : 'The address is what DHCP gives; the console shows it.',
    method.value === 'static' && address.value.trim() !== network.address && 'This page opens at the new address in some seconds. Your browser may warn of the certificate, and ask for the password again: go on within a minute.',
    'Unless the new settings are confirmed there, the old ones come back after a minute.',
  ],
  yes: 'Change',
}), async form => {
  const fixed = form.method.value === 'static', body = {};
  if (form.hostname.value.trim()) body.hostname = form.hostname.value;
  if (fixed) {
    for (const name of ['address', 'netmask', 'gateway']) body[name] = form[name].value.trim();
    body.nameservers = form.nameservers.value.split(/[\s,]+/).filter(Boolean);
  }
  const answer = await call('POST', `${HOST}/${fixed ? 'setipaddress' : 'setdhcp'}`, body);
  if (!fixed || body.address === network.address) return `${answer.confirmation}.`;
  const url = newUrl(body.address);
  setTimeout(() => location.assign(url), 4000);
  return {mood: 'warn', words: 'This page opens at the new address in some seconds.'};
});

at('network-form').elements.method.addEventListener('change', chooseMethod);

const utc = date => date.toISOString().slice(0, 19);

function showTime({time}) {
  say('clock-words', `${time.slice(0, 10)} ${time.slice(11, 16)} UTC`);
}

at('clock-change').addEventListener('toggle', () => {
  at('clock-form').elements.time.value = utc(new Date());
});

const wanted = ({time}) => `${time.value.length === 16 ? `${time.value}:00` : time.value}Z`;

onAskedSubmit('clock-form', 'clock-result', 'Setting…', async form => ({
  title: `Set the clock to ${wanted(form).replace('T', ' ').replace('Z', '')} UTC?`,
  points: [...(await read(`${HOST}/time?set=${wanted(form)}`)).consequences, 'A time service, if this appliance has one, may set it again.'],
  yes: 'Set the clock',
}), async form => `${(await call('POST', `${HOST}/time`, {time: wanted(form)})).confirmation}.`);

for (const [command, name, path, take] of [['network', 'network', 'setipaddress', showNetwork], ['clock', 'time', 'time', showTime]]) {
  if (!has(command)) continue;
  show(`${command}-part`, true);
  RESOURCES[name] = [`${HOST}/${path}`, take];
  ALL.push(name);
  ROUND.push(name);
  queue.push(name);
}
