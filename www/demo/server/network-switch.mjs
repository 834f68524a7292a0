// The sync server behind the demo's own origin, with a switch between them for each device, and one for all:
//   GET /demo/network    POST /demo/network {isBroken} or {device, isOffline}
//   /devices/<device>/api/* goes to the sync server
import { request as openRequest } from 'node:http'

/** @typedef {import('node:http').IncomingMessage} IncomingMessage */
/** @typedef {import('node:http').ServerResponse} ServerResponse */
/** @typedef {import('vite').Connect.IncomingMessage} ConnectMessage */

/**
 * What is between the devices and the sync server: a server that fails every request, and devices without a network.
 * @typedef {{ readonly isBroken: boolean, readonly offline: readonly string[] }} NetworkState
 */

/** @typedef {{ readonly isBroken: boolean } | { readonly device: string, readonly isOffline: boolean }} Switching */

const SWITCH_BYTES_MAX = 1_024
const DEVICE = /^[a-z]{1,20}$/
const DEVICE_PATH = /^\/([a-z]{1,20})(\/api\/.*)$/

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
    middlewares.use('/devices', (request, response) => network.answerDevice(request, response))
  }
  return {
    name: 'network-switch',
    configureServer: ({ middlewares }) => use(middlewares),
    configurePreviewServer: ({ middlewares }) => use(middlewares),
  }
}

class Network {
  /** Answers that are under way, with the device that waits for each. @type {Map<ServerResponse, string>} */
  #open = new Map()
  #isBroken = false
  /** @type {Set<string>} */
  #offline = new Set()
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
      const switching = await readSwitching(request)
      if (switching === undefined) {
        answer(response, 400, { message: 'the body is {isBroken} or {device, isOffline}' })
        return
      }
      this.#switch(switching)
    }
    answer(response, 200, { isBroken: this.#isBroken, offline: [...this.#offline] })
  }

  /**
   * @param {ConnectMessage} request
   * @param {ServerResponse} response
   */
  answerDevice(request, response) {
    const [, device = '', path = ''] = DEVICE_PATH.exec(request.url ?? '') ?? []
    if (device === '') {
      answer(response, 404, { code: 'not-found', message: 'no such device' })
    } else if (this.#offline.has(device)) {
      request.socket.destroy()
    } else if (this.#isBroken) {
      answer(response, 503, { code: 'unavailable', message: 'the server is broken on purpose' })
    } else if (this.#server === undefined) {
      const message = 'no sync server: start the demo with "npm start"'
      answer(response, 502, { code: 'unavailable', message })
    } else {
      this.#open.set(response, device)
      response.on('close', () => this.#open.delete(response))
      forward(this.#server, path, request, response)
    }
  }

  /** What a switch cuts off ends at once, as a cable that is pulled. @param {Switching} switching */
  #switch(switching) {
    if ('isBroken' in switching) {
      this.#isBroken = switching.isBroken
    } else if (switching.isOffline) {
      this.#offline.add(switching.device)
    } else {
      this.#offline.delete(switching.device)
    }
    for (const [response, device] of this.#open) {
      if (this.#isBroken || this.#offline.has(device)) response.destroy()
    }
  }
}

/**
 * @param {URL} server
 * @param {string} path
 * @param {ConnectMessage} request
 * @param {ServerResponse} response
 */
function forward(server, path, request, response) {
  const { method, headers } = request
  const target = { host: server.hostname, port: server.port, method, path }
  const upstream = openRequest(
    { ...target, headers: { ...headers, host: server.host } },
    (answered) => {
      response.writeHead(answered.statusCode ?? 502, answered.headers)
      // A stream's page learns that it is open before anything is said on it.
      response.flushHeaders()
      answered.pipe(response)
      answered.on('error', () => response.destroy())
    },
  )
  response.on('close', () => upstream.destroy())
  upstream.on('error', () => {
    if (response.headersSent) response.destroy()
    else answer(response, 502, { code: 'unavailable', message: 'the server does not answer' })
  })
  request.pipe(upstream)
}

/**
 * @param {IncomingMessage} request
 * @returns {Promise<Switching | undefined>} undefined when the body is none
 */
async function readSwitching(request) {
  /** @type {Buffer[]} */
  const chunks = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    if (bytes > SWITCH_BYTES_MAX) return undefined
    chunks.push(chunk)
  }
  try {
    const { isBroken, device, isOffline } = JSON.parse(Buffer.concat(chunks).toString('utf8')) ?? {}
    if (typeof isBroken === 'boolean') return { isBroken }
    const isSwitching = DEVICE.test(device) && typeof isOffline === 'boolean'
    return isSwitching ? { device, isOffline } : undefined
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
