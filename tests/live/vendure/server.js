// A Vendure shop for the live tests: SQLite, assets on disk, and the small plugin of docs/connections/vendure.md. Everything comes from the environment.
const { createHmac, randomUUID } = require('node:crypto');
const path = require('node:path');
const { bootstrap, DefaultLogger, EventBus, LogLevel, PluginCommonModule, ProductEvent, ProductVariantEvent, VendurePlugin } = require('@vendure/core');
const { AssetServerPlugin } = require('@vendure/asset-server-plugin');

const { SHOP_DIR, SHOP_PORT, DAM_WEBHOOK_URL, DAM_WEBHOOK_SECRET, SHOP_PASSWORD } = process.env;

class DamConnectorPlugin {
  constructor(bus) {
    this.bus = bus;
  }
  onApplicationBootstrap() {
    this.bus.ofType(ProductEvent).subscribe(e => this.send(`product.${e.type}`, { id: e.entity.id }));
    this.bus.ofType(ProductVariantEvent).subscribe(e =>
      e.variants.forEach(v => this.send(`product_variant.${e.type}`, { id: v.id, sku: v.sku, productId: v.productId })));
  }
  async send(type, data) {
    const id = `msg_${randomUUID()}`, at = Math.floor(Date.now() / 1000);
    const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data });
    const sign = createHmac('sha256', DAM_WEBHOOK_SECRET).update(`${id}.${at}.${body}`).digest('base64');
    const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-timestamp': `${at}`, 'webhook-signature': `v1,${sign}` };
    await fetch(DAM_WEBHOOK_URL, { method: 'POST', headers, body }).catch(() => undefined);
  }
}
Reflect.defineMetadata('design:paramtypes', [EventBus], DamConnectorPlugin);
const Plugin = VendurePlugin({ imports: [PluginCommonModule] })(DamConnectorPlugin) ?? DamConnectorPlugin;

bootstrap({
  apiOptions: { hostname: '127.0.0.1', port: Number(SHOP_PORT), adminApiPath: 'admin-api', shopApiPath: 'shop-api' },
  authOptions: { tokenMethod: ['bearer', 'cookie'], superadminCredentials: { identifier: 'superadmin', password: SHOP_PASSWORD }, cookieOptions: { secret: 'live' } },
  dbConnectionOptions: { type: 'better-sqlite3', synchronize: true, logging: false, database: path.join(SHOP_DIR, 'shop.db') },
  customFields: { Product: ['width', 'height', 'depth'].map(name => ({ name, type: 'float', nullable: true })) },
  paymentOptions: { paymentMethodHandlers: [] },
  assetOptions: { permittedFileTypes: ['image/*', '.glb', '.usdz'], uploadMaxFileSize: 50_000_000 },
  logger: new DefaultLogger({ level: LogLevel.Warn }),
  plugins: [AssetServerPlugin.init({ route: 'assets', assetUploadDir: path.join(SHOP_DIR, 'assets') }), Plugin],
}).catch(error => {
  console.error(error);
  process.exit(1);
});
