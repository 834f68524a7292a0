import { createReadStream, existsSync, statSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { JSHandle, Page } from '@playwright/test'
import { build } from 'esbuild'

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..')
const WASM = join(ROOT, 'www/pkg/tidesync_bg.wasm')
const ENTRY = '/entry.js'
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.wasm': 'application/wasm',
}
const PAGE =
  '<!doctype html><meta charset="utf-8"><title>Tidesync test</title><div id="root"></div>'

/** A web origin of its own on loopback, which serves an empty page at every path and one bundled module. */
export interface Origin {
  /** `http://127.0.0.1:<port>`, without a slash at the end. */
  readonly url: string
  /** Frees the port and drops open connections. */
  close(): Promise<void>
}

/** What an origin serves. */
export interface OriginOptions {
  /** 0, the default, takes a free port. */
  readonly port?: number
  /** The page's HTML; an empty page with `<div id="root">` by default. */
  readonly html?: string
  /** Minified and without a source map, as an app is served. */
  readonly production?: boolean
  /** Headers of the page, such as its content security policy. */
  readonly headers?: Readonly<Record<string, string>>
}

/**
 * Bundles a TypeScript module with esbuild and serves it at an origin of its own.
 * `entry` is a path from the repository's root, such as `tests/browser/fixtures/raw.ts`.
 */
export async function serveModule(entry: string, options: OriginOptions = {}): Promise<Origin> {
  const script = await bundle(entry, options.production ?? false)
  const server = createServer((request, response) => {
    respond(request, response, script, options)
  })
  return listen(server, options.port ?? 0)
}

/** Serves a folder as it is, such as an app that a bundler has built. */
export function serveFolder(folder: string): Promise<Origin> {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? '/', 'http://origin').pathname)
    const file = join(folder, path.endsWith('/') ? `${path}index.html` : path)
    const type = TYPES[extname(file)]
    if (type === undefined || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'content-type': type, 'cache-control': 'no-store' })
    createReadStream(file).pipe(response)
  })
  return listen(server, 0)
}

/**
 * Opens the origin's page and gives its module as a handle:
 * `const app = await openModule<typeof import('./fixtures/raw')>(page, origin)`, then
 * `await app.evaluate((m, id) => m.save(id), 7)`.
 */
export async function openModule<M>(page: Page, origin: Origin, path = '/'): Promise<JSHandle<M>> {
  await page.goto(origin.url + path)
  // As text: a dynamic import in a function would be rewritten by the test runner's own transform.
  return (await page.evaluateHandle(`import('${ENTRY}')`)) as JSHandle<M>
}

async function bundle(entry: string, production: boolean): Promise<string> {
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    sourcemap: production ? false : 'inline',
    minify: production,
    define: { 'process.env.NODE_ENV': production ? '"production"' : '"development"' },
    logLevel: 'silent',
  })
  const file = result.outputFiles[0]
  if (file === undefined) throw new Error(`esbuild made no output for ${entry}`)
  return file.text
}

function respond(
  request: IncomingMessage,
  response: ServerResponse,
  script: string,
  options: OriginOptions,
): void {
  const path = new URL(request.url ?? '/', 'http://origin').pathname
  if (path === ENTRY) send(response, 'text/javascript', script)
  else if (path.endsWith('/tidesync_bg.wasm') && existsSync(WASM)) {
    response.writeHead(200, { 'content-type': 'application/wasm', 'cache-control': 'no-store' })
    createReadStream(WASM).pipe(response)
  } else if (/\.\w+$/.test(path)) response.writeHead(404).end()
  else send(response, 'text/html', options.html ?? PAGE, options.headers)
}

function send(
  response: ServerResponse,
  type: string,
  body: string,
  headers: OriginOptions['headers'] = {},
): void {
  response.writeHead(200, {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-store',
    ...headers,
  })
  response.end(body)
}

function listen(server: Server, port: number): Promise<Origin> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      const address = server.address() as AddressInfo
      resolve({ url: `http://127.0.0.1:${address.port}`, close: () => close(server) })
    })
  })
}

function close(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve, reject) => {
    server.close((error) => (error === undefined ? resolve() : reject(error)))
  })
}
