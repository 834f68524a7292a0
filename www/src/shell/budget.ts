/** How much a read may still take. */

/** Rows or records of the first read of a store, before their size is known. */
export const FIRST_READ = 4

/** Most rows or records of one read. */
const READ_MAX = 1_000

/** Bytes and items that are left. */
export class Budget {
  constructor(
    private bytes: number,
    private items: number,
  ) {}

  take(bytes: number, items: number): void {
    this.bytes -= bytes
    this.items -= items
  }

  get isSpent(): boolean {
    return this.bytes <= 0 || this.items <= 0
  }

  get itemsLeft(): number {
    return this.items
  }

  /** How many items of so many bytes are left. */
  itemsOf(bytes: number): number {
    return Math.floor(this.bytes / bytes)
  }

  /**
   * How many rows to read next, when the last `rows` rows had `bytes` bytes: at most twice as many, for
   * the next ones may be much larger.
   */
  nextRead(rows: number, bytes: number): number {
    const average = Math.max(bytes / rows, 1)
    const most = Math.min(rows * 2, READ_MAX)
    return Math.max(1, Math.min(Math.floor(this.bytes / average), most))
  }
}
