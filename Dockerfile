# nft must be 1.1.3 or newer: 1.0.6 crashes where another program wrote sets with a newer one. Debian 13 has 1.1.3.
FROM node:24-trixie-slim AS build
WORKDIR /src
COPY . .
RUN npm ci && npm run build

FROM node:24-trixie-slim
# netbase has the names of protocols: without them nft lists numbers.
RUN apt-get update \
 && apt-get install -y --no-install-recommends nftables iproute2 kmod netbase procps util-linux \
 && rm -rf /var/lib/apt/lists/* \
 && nft --version
WORKDIR /opt/nftpolicy
COPY --from=build /src/package.json ./
COPY --from=build /src/bin bin
COPY --from=build /src/dist dist
COPY --from=build /src/docs/codes docs/codes
COPY --from=build /src/schemas schemas
RUN ln -s /opt/nftpolicy/bin/policy.mjs /usr/local/bin/policy
ENV NODE_ENV=production
ENTRYPOINT ["policy"]
CMD ["--help"]
