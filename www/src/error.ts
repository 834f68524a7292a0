/** What Tidesync throws. `code` is stable and made for programs; `message` says what to do. Neither carries user data. */
export class TidesyncError extends Error {
  /** Stable name of the failure, in lower case with hyphens, such as `not-installed`. */
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'TidesyncError'
    this.code = code
  }
}

/** Where errors go that have no caller to be thrown at: those of listeners, and of capture after the fact. */
export type ErrorReporter = (error: unknown) => void

const toPage: ErrorReporter = (error) => {
  globalThis.reportError(error)
}

let reporter: ErrorReporter = toPage

/** Replaces the reporter; without an argument the default comes back, `reportError` of the page. */
export function setErrorReporter(next?: ErrorReporter): void {
  reporter = next ?? toPage
}

/** Hands an error to the reporter. A reporter that throws itself is bypassed: its error goes to the page. */
export function report(error: unknown): void {
  try {
    reporter(error)
  } catch (failure) {
    toPage(failure)
  }
}
