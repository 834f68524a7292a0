// The sync server behind the demo's own origin, with a switch between them:
//   POST /demo/network {mode}    GET /demo/network    /api/* goes to the sync server
import { request as openRequest } from 'node:http'

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('vite').Connect.IncomingMessage} ConnectMessage */

/**
 * What is between the page and the sync server: nothing, a server that fails, or no network.
 * @typedef {'ok' | 'broken' | 'offline'} NetworkMode
 */

/** @type {readonly NetworkMode[]} */
const MODES = ['ok', 'broken', 'offline']
const SWITCH_BYTES_MAX = 1_024

/**
 * @param {string | undefined} server the sync server's address
 * @returns {import('vite').Plugin}
 */
export function networkSwitch(server) {
  const network = new Network(server === undefined ? undefined : new URL(server))
  const use = (/** @type {import('vite').Connect.Server} */ middlewares) => {
    middlewares.use('/demo/network', (request, response, next) => {
      network.answerSwitch(request, response).catch(next)
    })
    middlewares.use('/api', (request, response) => network.answerApi(request, response))
  }
  return {
    name: 'network-switch',
    configureServer: ({ middlewares }) => use(middlewares),
    configurePreviewServer: ({ middlewares }) => use(middlewares),
  }
}

class Network {
  /** Answers that are under way. @type {Set<ServerResponse>} */
  #open = new Set()
  /** @type {NetworkMode} */
  #mode = 'ok'
  #server

  /** @param {URL | undefined} server */
  constructor(server) {
    this.#server = server
  }

  /**
   * @param {IncomingMessage} request
   * @param {ServerResponse} response
   */
  async answerSwitch(request, response) {
    if (request.method === 'POST') {
      const mode = await readMode(request)
      if (mode === undefined) {
        answer(response, 400, { message: `mode must be one of ${MODES.join(', ')}` })
        return
      }
      this.#switchTo(mode)
    }
    answer(response, 200, { mode: this.#mode })
  }

  /**
   * @param {ConnectMessage} request
   * @param {ServerResponse} response
   */
  answerApi(request, response) {
    if (this.#mode === 'offline') {
      request.socket.destroy()
    } else if (this.#mode === 'broken') {
      answer(response, 503, { code: 'unavailable', message: 'the server is broken on purpose' })
    } else if (this.#server === undefined) {
      const message = 'no sync server: start the demo with "npm start"'
      answer(response, 502, { code: 'unavailable', message })
    } else {
      this.#forward(this.#server, request, response)
    }
  }

  /** @param {NetworkMode} mode */
  #switchTo(mode) {
    this.#mode = mode
    if (mode !== 'ok') {
      for (const response of this.#open) response.destroy()
    }
  }

  /**
   * @param {URL} server
   * @param {ConnectMessage} request
   * @param {ServerResponse} response
   */
  #forward(server, request, response) {
    const { method, originalUrl: path, headers } = request
    const target = { host: server.hostname, port: server.port, method, path }
    const upstream = openRequest(
      { ...target, headers: { ...headers, host: server.host } },
      (answered) => {
        response.writeHead(answered.statusCode ?? 502, answered.headers)
        answered.pipe(response)
      },
    )
    this.#open.add(response)
    response.on('close', () => {
      this.#open.delete(response)
      upstream.destroy()
    })
    upstream.on('error', () => {
      if (response.headersSent) response.destroy()
      else answer(response, 502, { code: 'unavailable', message: 'the server does not answer' })
    })
    request.pipe(upstream)
  }
}

/**
 * @param {IncomingMessage} request
 * @returns {Promise<NetworkMode | undefined>} undefined when the body is not `{mode}`
 */
async function readMode(request) {
  /** @type {Buffer[]} */
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > SWITCH_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  try {
    const wanted = JSON.parse(Buffer.concat(chunks).toString('utf8'))?.mode
    return MODES.find((mode) => mode === wanted)
  } catch {
    return undefined
  }
}

/**
 * @param {ServerResponse} response
 * @param {number} status
 * @param {object} body
 */
function answer(response, status, body) {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
