import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'
import { networkSwitch } from './server/network-switch.mjs'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** The demo uses the package's sources as an app would use the package. */
export default defineConfig({
  plugins: [react(), networkSwitch(process.env.VITE_TIDESYNC_URL)],
  resolve: {
    alias: [
      { find: /^tidesync$/, replacement: `${repository}www/src/index.ts` },
      { find: /^tidesync\/(.*)$/, replacement: `${repository}www/src/$1.ts` },
    ],
  },
  // Named, so that no page is reloaded because a dependency was found late.
  optimizeDeps: { include: ['react', 'react-dom/client', 'react/jsx-dev-runtime'] },
  server: { fs: { allow: [repository] } },
})
