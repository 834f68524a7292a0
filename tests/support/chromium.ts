import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome-stable',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** The system's Chromium: `CHROMIUM_PATH` if it is set, else the usual places. The tests never download one. */
export function chromiumPath(): string {
  const places = process.env.CHROMIUM_PATH === undefined ? PLACES : [process.env.CHROMIUM_PATH]
  const found = places.find((place) => existsSync(place))
  if (found === undefined) {
    throw new Error(`no Chromium at ${places.join(', ')}: run "npm run setup" or set CHROMIUM_PATH`)
  }
  return found
}

/** Flags that keep a test browser quiet: no updates, no background requests. Root has no sandbox. */
export const CHROMIUM_FLAGS: readonly string[] = [
  ...(userInfo().uid === 0 ? ['--no-sandbox'] : []),
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
  '--disable-quic',
]
