// Sets up and builds what is needed, then runs the server and the demo until Ctrl-C.
//   node scripts/start.mjs [--port N] [--data DIR]
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { freePort } from './lib/ports.mjs'
import { Failure, ROOT, run, script } from './lib/process.mjs'
import { setUpBuild } from './setup.mjs'
import { buildWasm } from './wasm.mjs'

const DEMO = join(ROOT, 'www/demo')
const DEFAULT_PORT = 3000
const PORT_MAX = 65_535
const READY_TIMEOUT_MS = 30_000
const READY_POLL_MS = 100
const STOP_TIMEOUT_MS = 25_000

/** @typedef {() => void | Promise<void>} Cleanup */

/** What has been started, latest last; undone in reverse order. @type {Cleanup[]} */
const cleanups = []

function options() {
  const usage = 'usage: npm start -- [--port N] [--data DIR]'
  try {
    const { values } = parseArgs({
      options: { port: { type: 'string' }, data: { type: 'string' } },
    })
    const port = values.port === undefined ? DEFAULT_PORT : Number(values.port)
    if (!Number.isInteger(port) || port < 1 || port > PORT_MAX) {
      throw new Failure(`--port ${values.port}: a port is a whole number from 1 to ${PORT_MAX}`)
    }
    return { port, data: values.data }
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`${error instanceof Error ? error.message : error}\n${usage}`)
  }
}

/**
 * The folder of the server's database: the given one, which is kept, or a temporary one.
 * @param {string | undefined} given
 */
function dataFolder(given) {
  if (given !== undefined) {
    const folder = resolve(process.env.INIT_CWD ?? '.', given)
    try {
      mkdirSync(folder, { recursive: true })
    } catch (error) {
      throw new Failure(`--data ${given}: ${error instanceof Error ? error.message : error}`)
    }
    return folder
  }
  const folder = mkdtempSync(join(tmpdir(), 'tidesync-demo-'))
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * @param {number} port
 * @param {number} demoPort
 * @param {string} folder
 */
async function startServer(port, demoPort, folder) {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target')
  const origins = ['localhost', '127.0.0.1'].flatMap((host) => [
    '--allow-origin',
    `http://${host}:${demoPort}`,
  ])
  const args = [
    'serve',
    '--dev',
    '--listen',
    `127.0.0.1:${port}`,
    '--database',
    `sqlite:${join(folder, 'tidesync.db')}`,
  ]
  const log = join(folder, 'server.log')
  const lines = openSync(log, 'w')
  // A group of its own: Ctrl-C reaches it through us alone, after the demo has been closed.
  const server = spawn(join(target, 'debug/tidesync'), [...args, ...origins], {
    stdio: ['ignore', lines, lines],
    detached: true,
  })
  closeSync(lines)
  /** @type {Promise<string>} */
  const ended = new Promise((resolve) => {
    server.once('error', (error) => resolve(error.message))
    server.once('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  cleanups.push(async () => {
    server.kill('SIGTERM')
    const force = setTimeout(() => server.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await ended
    clearTimeout(force)
  })
  const url = `http://127.0.0.1:${port}`
  await Promise.race([
    answers(`${url}/api/health`),
    ended.then((reason) => {
      throw new Failure(`the server ended at its start: ${reason}\n${readFileSync(log, 'utf8')}`)
    }),
  ])
  return { url, log, ended }
}

/** @param {string} url */
async function answers(url) {
  const deadline = Date.now() + READY_TIMEOUT_MS
  while (Date.now() < deadline) {
    const response = await fetch(url).catch(() => undefined)
    if (response?.ok) return
    await delay(READY_POLL_MS)
  }
  throw new Failure(`the server did not answer at ${url} within ${READY_TIMEOUT_MS / 1000} s`)
}

/**
 * @param {number} port
 * @param {string} serverUrl
 */
async function startDemo(port, serverUrl) {
  process.env.VITE_TIDESYNC_URL = serverUrl
  const { createServer } = await import('vite')
  const demo = await createServer({
    root: DEMO,
    clearScreen: false,
    logLevel: 'warn',
    server: { host: '127.0.0.1', port, strictPort: true, fs: { allow: [ROOT] } },
  })
  cleanups.push(() => demo.close())
  await demo.listen()
}

/** Undoes everything that was started; a second Ctrl-C while it runs changes nothing. */
async function stop() {
  for (let cleanup = cleanups.pop(); cleanup !== undefined; cleanup = cleanups.pop())
    await cleanup()
}

/** @returns {Promise<undefined>} settles when the user ends it */
function stopSignal() {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
      process.on(signal, () => resolve(undefined))
  })
}

/**
 * @param {number} port
 * @param {string | undefined} data
 */
async function serve(port, data) {
  const stopped = stopSignal()
  try {
    const serverPort = (await freePort(port + 1)) ?? (await freePort(0))
    if (serverPort === undefined) throw new Failure('no free port for the server')
    const server = await startServer(serverPort, port, dataFolder(data))
    await startDemo(port, server.url)
    console.log(`\nServer: ${server.url}, its log: ${server.log}`)
    console.log('Ctrl-C stops everything. The demo:')
    console.log(`http://localhost:${port}`)
    const early = await Promise.race([stopped, server.ended])
    if (early !== undefined) throw new Failure(`the server ended: ${early}`)
  } finally {
    await stop()
  }
}

await script(async () => {
  const { port, data } = options()
  if ((await freePort(port)) === undefined) {
    throw new Failure(`port ${port} is taken: choose another one with npm start -- --port N`)
  }
  await setUpBuild()
  await buildWasm()
  console.log('start: compiling the server')
  await run('cargo', ['build', '--package', 'tidesync-cli', '--locked'], {
    label: 'cargo build (server)',
  })
  await serve(port, data)
})
