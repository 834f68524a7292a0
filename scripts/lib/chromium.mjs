// The browser of the tests: the system's, or installed with apt.
import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { Failure, output, run } from './process.mjs'

const PACKAGES = ['chromium', 'chromium-driver']
const BROWSERS = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
]
const MAC = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome'
const HINT =
  'install Chromium and its chromedriver (Debian: apt-get install chromium chromium-driver), or set CHROMIUM_PATH and CHROMEDRIVER'

/** Chromium and a chromedriver for it; installed with apt where they are missing and apt may be used. */
export async function ensureChromium() {
  if (hasBrowser() && hasDriver()) return
  const apt = aptCommand()
  if (apt === undefined)
    throw new Failure(`no Chromium with chromedriver here, and apt cannot be used: ${HINT}`)
  console.log(`setup: installing ${PACKAGES.join(' and ')} with apt`)
  await apt(['update', '-qq'])
  await apt(['install', '-y', '--no-install-recommends', ...PACKAGES])
  if (!hasBrowser() || !hasDriver()) throw new Failure(`apt installed no Chromium: ${HINT}`)
}

function hasBrowser() {
  const own = process.env.CHROMIUM_PATH
  return own === undefined ? [...BROWSERS, MAC].some((path) => existsSync(path)) : existsSync(own)
}

function hasDriver() {
  return output(process.env.CHROMEDRIVER ?? 'chromedriver', ['--version']) !== undefined
}

/** apt as root, or through sudo where that asks for no password. */
function aptCommand() {
  if (output('apt-get', ['--version']) === undefined) return undefined
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  if (userInfo().uid === 0) {
    return (/** @type {readonly string[]} */ args) => run('apt-get', args, { env })
  }
  if (output('sudo', ['-n', 'true']) === undefined) return undefined
  return (/** @type {readonly string[]} */ args) =>
    run('sudo', ['-n', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args])
}
