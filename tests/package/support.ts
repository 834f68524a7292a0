import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const HERE = dirname(fileURLToPath(import.meta.url))
const LINKED = ['react', 'react-dom', 'scheduler', '@types/react', '@types/react-dom', 'csstype']
const execute = promisify(execFile)

/** The repository's root. */
export const ROOT: string = join(HERE, '../..')

/** A packed and unpacked package in a folder of its own. */
export interface Packed {
  /** The folder that stands for the package in a consumer's `node_modules`. */
  readonly folder: string
  /** The files of the tarball, sorted. */
  readonly files: readonly string[]
  /** Removes everything. */
  remove(): void
}

/** Runs `npm pack` and unpacks the tarball. */
export async function pack(): Promise<Packed> {
  if (!existsSync(join(ROOT, 'dist/index.js')))
    throw new Error('no dist: run "npm run build" first')
  const folder = mkdtempSync(join(tmpdir(), 'tidesync-pack-'))
  const flags = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await npm(flags)
  const [{ filename, files }] = JSON.parse(stdout) as [
    { filename: string; files: { path: string }[] },
  ]
  await run('tar', ['-xzf', join(folder, filename), '-C', folder], folder)
  return {
    folder: join(folder, 'package'),
    files: files.map(({ path }) => path).sort(),
    remove: () => rmSync(folder, { recursive: true }),
  }
}

/** Makes an app outside the repository from `consumers/<name>`, with the package and React installed. */
export function makeConsumer(name: string, packed: Packed): string {
  const app = mkdtempSync(join(tmpdir(), `tidesync-consumer-${name}-`))
  cpSync(join(HERE, 'consumers', name), app, { recursive: true })
  const modules = join(app, 'node_modules')
  cpSync(packed.folder, join(modules, 'tidesync'), { recursive: true })
  for (const dependency of LINKED) {
    mkdirSync(dirname(join(modules, dependency)), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules', dependency), join(modules, dependency), 'junction')
  }
  return app
}

/** Runs a program to its end; rejects with its output when it fails. */
export async function run(
  program: string,
  args: readonly string[],
  cwd: string,
): Promise<{ stdout: string; stderr: string }> {
  try {
    return await execute(program, [...args], { cwd, maxBuffer: 1 << 26 })
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string }
    throw new Error(`${program} ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: error })
  }
}

function npm(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const cli = process.env.npm_execpath
  return cli?.endsWith('.js') ? run(process.execPath, [cli, ...args], ROOT) : run('npm', args, ROOT)
}
