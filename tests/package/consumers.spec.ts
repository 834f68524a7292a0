import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, type Page, test } from '@playwright/test'
import react from '@vitejs/plugin-react'
import { build as bundle } from 'esbuild'
import { build as viteBuild, createServer as viteServer } from 'vite'
import { serveFolder } from '../support/page'
import { makeConsumer, type Packed, pack, ROOT, run } from './support'

let packed: Packed
let app: string

test.beforeAll(async () => {
  packed = await pack()
})

test.afterAll(() => packed.remove())

test.afterEach(() => rmSync(app, { recursive: true, force: true }))

test('Vite: a production build carries the WebAssembly along', async ({ page }) => {
  app = makeConsumer('vite', packed)
  await viteBuild({ root: app, configFile: false, logLevel: 'warn', plugins: [react()] })
  expect(
    readdirSync(join(app, 'dist/assets')).filter((name) => name.endsWith('.wasm')),
  ).toHaveLength(1)
  expect(await openBuilt(page, join(app, 'dist'))).toHaveLength(1)
})

test('Vite: the development server serves it', async ({ page }) => {
  app = makeConsumer('vite', packed)
  const server = await viteServer({
    root: app,
    configFile: false,
    logLevel: 'warn',
    plugins: [react()],
    server: { host: '127.0.0.1', port: 0, fs: { allow: [app, ROOT] } },
  })
  await server.listen()
  try {
    expect(await open(page, server.resolvedUrls?.local[0] ?? '')).toHaveLength(1)
  } finally {
    await server.close()
  }
})

test('esbuild: the documented copy of the WebAssembly beside the bundle', async ({ page }) => {
  app = makeConsumer('esbuild', packed)
  await esbuild('main.ts')
  copyFileSync(
    join(app, 'node_modules/tidesync/dist/tidesync_bg.wasm'),
    join(app, 'public/tidesync_bg.wasm'),
  )
  expect(await openBuilt(page, join(app, 'public'))).toHaveLength(1)
})

test('esbuild: tidesync/inline needs no other file', async ({ page }) => {
  app = makeConsumer('esbuild', packed)
  await esbuild('inline.ts')
  expect(await openBuilt(page, join(app, 'public'))).toEqual([])
})

test('no bundler: a plain module script', async ({ page }) => {
  app = makeConsumer('plain', packed)
  expect(await openBuilt(page, app)).toHaveLength(1)
})

test('Node: importing has no effect, and the hook renders on a server', async () => {
  app = makeConsumer('node', packed)
  const { stdout, stderr } = await run(process.execPath, ['main.mjs'], app)
  expect(stderr).toBe('')
  expect(stdout).toBe('new globals: none\n<p>not-configured</p>\n')
})

test('TypeScript: the declarations hold under strict, with both ways to resolve modules', async () => {
  app = makeConsumer('types', packed)
  for (const resolution of [
    ['bundler', 'esnext'],
    ['nodenext', 'nodenext'],
  ] as const) {
    const flags = ['--moduleResolution', resolution[0], '--module', resolution[1]]
    await run(
      process.execPath,
      [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', app, ...flags],
      app,
    )
  }
})

async function esbuild(entry: string): Promise<void> {
  mkdirSync(join(app, 'public'), { recursive: true })
  await bundle({
    absWorkingDir: app,
    entryPoints: [entry],
    outfile: 'public/main.js',
    bundle: true,
    minify: true,
    format: 'esm',
    logLevel: 'warning',
  })
}

async function openBuilt(page: Page, folder: string): Promise<string[]> {
  const origin = await serveFolder(folder)
  try {
    return await open(page, `${origin.url}/`)
  } finally {
    await origin.close()
  }
}

/** Opens the consumer's page until its engine has counted the page's one change; gives the fetched WebAssembly. */
async function open(page: Page, url: string): Promise<string[]> {
  const fetched: string[] = []
  const errors: string[] = []
  page.on('response', (response) => {
    if (response.url().endsWith('.wasm')) fetched.push(`${response.status()} ${response.url()}`)
  })
  page.on('pageerror', (error) => errors.push(error.message))
  await page.goto(url)
  await expect(page.locator('#status')).toHaveText('initialized: true, pending: 1')
  expect(errors).toEqual([])
  expect(fetched.every((line) => line.startsWith('200 '))).toBe(true)
  return fetched
}
