# The relay in a container: `docker build --tag bss .`, and then `docker run bss --help`. docs/operate.md says how to run it.
FROM node:24-bookworm-slim AS build
WORKDIR /source
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && npm prune --omit=dev

FROM node:24-bookworm-slim
WORKDIR /app
COPY --from=build /source/package.json ./
COPY --from=build /source/node_modules ./node_modules
COPY --from=build /source/dist ./dist
# Keys and certificates are kept here. Nothing else is written, so the root may be read-only.
RUN install --directory --owner=1000 --group=1000 --mode=700 /data
VOLUME /data
# A container's own port is reached from its network, so the relay starts only with a policy or with --open.
ENV NODE_ENV=production BSS_HOST=0.0.0.0 BSS_PORT=8080 BSS_JSON=1 XDG_DATA_HOME=/data
EXPOSE 8080
USER 1000
# Asks without TLS and then with it, because a flag or a configuration file may say which of them the relay speaks.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s \
    CMD ["node", "-e", "const { BSS_PORT: port } = process.env; const ask = (module, onError) => require(module).get({ port, host: '127.0.0.1', path: '/healthz', rejectUnauthorized: false }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1)).on('error', onError); ask('http', () => ask('https', () => process.exit(1)))"]
ENTRYPOINT ["node", "--max-semi-space-size=1", "--max-old-space-size=768", "/app/dist/cli/main.js"]
CMD ["serve"]
