/** Where log lines go unless the app takes them. */

import type { Logger } from './config'

/** The console, from `info` up. */
export const consoleLogger: Logger = (level, message) => {
  if (level !== 'debug') {
    // biome-ignore lint/suspicious/noConsole: the one place that writes to the console
    console[level](message)
  }
}
