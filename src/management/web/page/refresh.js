
// Reads one resource after the other while the page is visible, and reports when it can't.

const PAUSE = 1500, MAX_PAUSE = 30_000;

const RESOURCES = {
  certificate: [`${best}/security/sslcertificate`, showCertificate],
  http: [`${best}/security/insecureports`, showHttp],
  password: [`${best}/security/adminpassword`, showPassword],
  token: [`${best}/security/jobtoken`, showToken],
  request: [`${best}/security/certificaterequest`, showRequest],
  acme: [`${best}/security/acme`, showAcme],
  license: [`${LICENSE}/offlinemode`, showLicense],
  proxy: [`${LICENSE}/network`, showProxy],
  services: hasV1 ? ['/v1/management/services', showServices] : ['/v2/management/health', showHealth],
  about: [`${MANAGEMENT}/host/about`, showAbout],
  cpu: hasV1 ? ['/v1/management/resource/cpu', answer => showShare('cpu', answer.percentage)]
    : ['/v2/management/cpuinfo', answer => showShare('cpu', answer.usage_percentage)],
  mem: hasV1 ? ['/v1/management/resource/mem', answer => showShare('mem', answer.percentage)]
    : ['/v2/management/meminfo', answer => showShare('mem', answer.usage_percentage)],
};
const ALL = Object.keys(RESOURCES);
// One round; what changes by itself is in it twice.
const ROUND = ['license', 'cpu', 'services', 'http', 'mem', 'password', 'license', 'cpu', 'services', 'certificate', 'mem', 'proxy', 'request', 'acme', 'token'];

let queue = [...ALL], turn = 0, timer = 0, reading = false, stopped = false, failures = 0, seen = 0;

function halt() {
  stopped = true;
  clearTimeout(timer);
}

// The password has changed and the browser does not know the new one.
function locked() {
  halt();
  lost('This appliance asks for a password now. Reload the page to log in: user admin.', false);
}

function lost(words, retry) {
  say('lost-words', words);
  show('lost', true);
  show('lost-retry', retry);
  document.body.classList.add('stale');
}

function found() {
  failures = 0;
  seen = Date.now();
  show('lost', false);
  document.body.classList.remove('stale');
  say('live', 'Up to date');
}

function unreachable(again) {
  const since = seen ? ` What is shown is from ${new Date(seen).toLocaleTimeString('en-GB')}.` : '';
  const instead = overClear && secureUrl ? ` If plain HTTP was switched off meanwhile, go to ${secureUrl}`
    : ' If the certificate was replaced meanwhile, reload the page so that your browser checks it.';
  lost(`The appliance does not answer; next try in ${Math.round(again / 1000)} s.${since}${failures > 1 ? instead : ''}`, true);
  say('live', 'Not reachable');
}

function schedule(pause) {
  clearTimeout(timer);
  if (!stopped && !document.hidden) timer = setTimeout(step, pause);
}

async function step() {
  if (reading || stopped || document.hidden) return;
  // Waits for a change in progress, which shows its own result.
  if (working) return schedule(250);
  reading = true;
  const name = queue.shift() ?? ROUND[turn++ % ROUND.length];
  const [path, take] = RESOURCES[name];
  let pause = queue.length ? 0 : PAUSE;
  try {
    const answer = await read(path);
    found();
    if (!working) take(answer);
  } catch (error) {
    pause = Math.min(MAX_PAUSE, PAUSE * 2 ** failures);
    failures += 1;
    if (error.status === 401) locked();
    else if (error instanceof ApiError) {
      lost(`${path} answered: ${error.message}`, true);
    } else if (error instanceof Unreachable) {
      queue = [...ALL];
      if (!stopped) unreachable(pause);
    } else throw error;
  } finally {
    reading = false;
    schedule(pause);
  }
}

function refreshAll() {
  queue = [...ALL];
  schedule(0);
}

document.addEventListener('visibilitychange', () => schedule(0));
at('lost-retry').addEventListener('click', () => { failures = 0; schedule(0); });
at('lost-reload').addEventListener('click', () => location.reload());
// Clears passwords, so that going back to this page does not restore them.
addEventListener('pagehide', () => document.querySelectorAll('input[type=password], #token-form input').forEach(input => { input.value = ''; }));

say('which', location.hostname);
say('live', 'Loading…');
step();
