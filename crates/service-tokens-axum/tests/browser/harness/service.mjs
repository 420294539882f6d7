// The example service as a process, and its HTTP API.

import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));
const target = process.env.CARGO_TARGET_DIR ?? join(here, '../../../../../target');
// The folder with the programs: a debug build unless SERVICE_EXAMPLES is set.
export const examples = process.env.SERVICE_EXAMPLES ?? join(target, 'debug');

export class Service {
  #child;
  #folder;

  // Starts it on a free port. `seed` are arguments for the program of that name, which fills the store.
  static async start({ seed } = {}) {
    const service = new Service();
    service.#folder = await mkdtemp(join(tmpdir(), 'service-tokens-page-'));
    const args = ['--listen', '127.0.0.1:0', '--folder', service.#folder];
    if (seed) {
      await promisify(execFile)(join(examples, 'seed'), [service.#folder, ...seed.map(String)]);
      args.push('--issue-manager');
    }
    service.#child = spawn(join(examples, 'service-tokens-example'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
    service.log = '';
    service.#child.stderr.on('data', (data) => (service.log += data));
    const ended = new Promise((_, reject) => {
      service.#child.on('error', reject);
      service.#child.on('exit', (code) => reject(new Error(`the service ended with ${code}\n${service.log}`)));
    });
    ended.catch(() => {});
    await Promise.race([service.#greeting(), ended]);
    return service;
  }

  async #greeting() {
    for await (const line of createInterface({ input: this.#child.stdout })) {
      this.page ??= line.match(/http:\S+\/service-tokens\b/)?.[0];
      const token = line.match(/^\s*([a-z0-9_]+_1[0-9A-Za-z]{71})\s*$/)?.[1];
      if (token) {
        this.manager = token;
        this.address = new URL(this.page).origin;
        this.#child.stdout.resume();
        return;
      }
    }
  }

  async stop() {
    if (this.#child.exitCode === null) {
      const exit = new Promise((resolve) => this.#child.on('exit', resolve));
      this.#child.kill('SIGKILL');
      await exit;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  // Calls the management API with the manager token; any status but 2xx is an error.
  async api(method, path, body, token = this.manager) {
    const answer = await fetch(`${this.address}/${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text);
  }

  issue(type, issued_to, more = {}) {
    return this.api('POST', 'tokens', { type, issued_to, ...more });
  }

  revoke(id, reason) {
    return this.api('POST', `tokens/${id}/revoke`, reason && { reason });
  }

  async list(query = '') {
    return (await this.api('GET', `tokens?${query}`)).tokens;
  }

  // Uploads a file with this token and returns the status.
  async upload(token, name = 'hello.txt') {
    const answer = await fetch(`${this.address}/files/${name}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body: 'Hello',
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  // Lists the files with this token and returns the status.
  async read(token) {
    const answer = await fetch(`${this.address}/files`, { headers: { authorization: `Bearer ${token}` } });
    await answer.arrayBuffer();
    return answer.status;
  }
}
