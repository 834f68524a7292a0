// Ports of this machine's loopback address.
import { createServer } from 'node:net'

/**
 * Whether a port can be listened on.
 * @param {number} port 0 takes any
 * @returns {Promise<number | undefined>} the port, or undefined when it is taken
 */
export function freePort(port) {
  const probe = createServer()
  return new Promise((resolve) => {
    probe.once('error', () => resolve(undefined))
    probe.listen(port, '127.0.0.1', () => {
      const address = probe.address()
      const bound = address !== null && typeof address === 'object' ? address.port : undefined
      probe.close(() => resolve(bound))
    })
  })
}
