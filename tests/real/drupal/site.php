<?php

/**
 * @file
 * What the end-to-end test asks of a real site: drush php:script site.php -- COMMAND JSON.
 *
 * Prints one line of JSON. It changes only Waybill's own settings, an account
 * called "waybill" and two keys, and "restore" takes all of that back.
 */

declare(strict_types=1);

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_price\Calculator;
use Drupal\key\Entity\Key;
use Drupal\user\Entity\User;

[$command, $given] = [$extra[0], json_decode($extra[1] ?? '{}', TRUE)];

$order_of = static function (string $uuid): OrderInterface {
  $found = \Drupal::entityTypeManager()->getStorage('commerce_order')->loadByProperties(['uuid' => $uuid]);
  return reset($found);
};

$prepare = static function () use ($given): array {
  \Drupal::service('module_installer')->install(['key', 'commerce_waybill', 'commerce_waybill_orders', 'commerce_waybill_operations', 'commerce_waybill_storefront']);
  if (!user_load_by_name('waybill')) {
    User::create(['name' => 'waybill', 'mail' => 'waybill@example.invalid', 'status' => 1, 'roles' => ['waybill']])->save();
  }
  foreach (['waybill_out' => $given['out'], 'waybill_in' => $given['in']] as $id => $secret) {
    Key::load($id)?->delete();
    Key::create([
      'id' => $id,
      'label' => $id,
      'key_type' => 'authentication',
      'key_provider' => 'config',
      'key_provider_settings' => ['key_value' => $secret],
      'key_input' => 'text_field',
    ])->save();
  }
  $settings = \Drupal::configFactory()->getEditable('commerce_waybill.settings');
  $settings->set('endpoint', $given['endpoint'])
    ->set('secret', 'key:waybill_out')
    ->set('site_tag', 'waybill:e2e')
    ->set('keys', [['id' => 'e2e', 'secret' => 'key:waybill_in', 'account' => 'waybill']])
    ->set('timeout', 5)
    ->save();
  \Drupal::database()->truncate('commerce_waybill_outbox')->execute();
  drupal_flush_all_caches();
  return ['drupal' => \Drupal::VERSION];
};

// Only where events go: what waits keeps waiting.
$point = static function () use ($given): array {
  \Drupal::configFactory()->getEditable('commerce_waybill.settings')->set('endpoint', $given['endpoint'])->save();
  return [];
};

$order = static function () use ($given, $order_of): array {
  $order = $order_of($given['uuid']);
  $payments = \Drupal::entityTypeManager()->getStorage('commerce_payment')->loadMultipleByOrder($order);
  $shipments = $order->hasField('shipments') ? $order->get('shipments')->referencedEntities() : [];
  return [
    'number' => $order->getOrderNumber(),
    'state' => $order->getState()->getId(),
    'total' => Calculator::trim($order->getTotalPrice()->getNumber()),
    'paid' => Calculator::trim($order->getTotalPaid()->getNumber()),
    'erp_number' => $order->get('waybill_erp_number')->value,
    'erp_status' => $order->get('waybill_erp_status')->value,
    'customer_status' => (string) $order->get('waybill_customer_status')->value,
    'payments' => array_values(array_map(static fn ($payment): array => [
      $payment->getPaymentGatewayId(),
      $payment->getRemoteId(),
      $payment->getState()->getId(),
      Calculator::trim($payment->getAmount()->getNumber()),
      Calculator::trim($payment->getRefundedAmount()->getNumber()),
    ], $payments)),
    'tracking' => array_map(static fn ($shipment): ?string => $shipment->getTrackingCode(), $shipments)
      ?: array_column(json_decode((string) $order->get('waybill_shipments')->value, TRUE) ?? [], 'tracking_code'),
  ];
};

$last = static function (): array {
  $ids = \Drupal::entityQuery('commerce_order')->accessCheck(FALSE)->condition('state', 'draft', '<>')->sort('order_id', 'DESC')->range(0, 1)->execute();
  $order = \Drupal::entityTypeManager()->getStorage('commerce_order')->load(reset($ids));
  return ['uuid' => $order->uuid(), 'number' => $order->getOrderNumber()];
};

$outbox = static function (): array {
  return \Drupal::database()->query('SELECT order_uuid, event, status, attempts, error FROM {commerce_waybill_outbox} ORDER BY id')->fetchAll();
};

// A claim of a deliverer that died runs out by itself after two minutes.
$due = static function (): array {
  \Drupal::service('keyvalue.expirable')->get('commerce_waybill')->delete('down');
  return ['rows' => \Drupal::database()->update('commerce_waybill_outbox')->fields(['due' => 0, 'claimed_until' => 0])->condition('status', 'pending')->execute()];
};

// Both directions, as the button of the settings form proves them.
$ping = static function (): array {
  $ping = \Drupal::service('Drupal\commerce_waybill\Outbox\Ping');
  [$id, $status] = $ping->send();
  for ($waited = 0; $waited < 100 && !$ping->isAnswered($id); $waited++) {
    usleep(100_000);
  }
  return ['status' => $status, 'answered' => $ping->isAnswered($id)];
};

$variations = static function () use ($given): array {
  $storage = \Drupal::entityTypeManager()->getStorage('commerce_product_variation');
  $ids = $storage->getQuery()->accessCheck(FALSE)->condition('sku', $given['prefix'], 'STARTS_WITH')->sort('sku')->execute();
  return array_values($storage->loadMultiple($ids));
};
$catalog = static fn (): array => array_map(static fn ($one): array => [
  $one->getProduct()?->getTitle(),
  $one->getSku(),
  Calculator::trim($one->getPrice()->getNumber()),
  $one->isPublished(),
], $variations());
$forget = static function () use ($variations): array {
  foreach ($variations() as $variation) {
    $variation->getProduct()?->delete();
  }
  return [];
};

// OAuth 2 beside signatures, where simple_oauth is among the site's modules.
$oauth = static function () use ($given): array {
  if (!\Drupal::service('extension.list.module')->exists('simple_oauth')) {
    return ['absent' => TRUE];
  }
  \Drupal::service('module_installer')->install(['simple_oauth']);
  $folder = \Drupal::service('file_system')->realpath('temporary://') . '/waybill-oauth';
  if (!is_dir($folder)) {
    mkdir($folder, 0755);
    \Drupal::service('simple_oauth.key.generator')->generateKeys($folder);
  }
  // Drush may run as another account than the web server.
  array_map(static fn (string $file): bool => chmod($file, 0644), glob("$folder/*.key"));
  \Drupal::configFactory()->getEditable('simple_oauth.settings')
    ->set('public_key', "$folder/public.key")->set('private_key', "$folder/private.key")->save();
  $manager = \Drupal::entityTypeManager();
  foreach ([...$manager->getStorage('oauth2_scope')->loadMultiple(), ...$manager->getStorage('consumer')->loadByProperties(['client_id' => 'waybill'])] as $old) {
    $old->delete();
  }
  $grants = ['client_credentials' => ['status' => TRUE, 'description' => '']];
  $scope = $manager->getStorage('oauth2_scope')->create([
    'name' => 'waybill',
    'description' => 'The Waybill middleware',
    'grant_types' => $grants,
    'umbrella' => FALSE,
    'granularity_id' => 'role',
    'granularity_configuration' => ['role' => 'waybill'],
  ]);
  $scope->save();
  $manager->getStorage('consumer')->create([
    'label' => 'Waybill',
    'client_id' => 'waybill',
    'secret' => $given['secret'],
    'confidential' => TRUE,
    'grant_types' => ['client_credentials'],
    'scopes' => [$scope->id()],
    'user_id' => user_load_by_name('waybill')->id(),
  ])->save();
  drupal_flush_all_caches();
  return ['absent' => FALSE];
};

$restore = static function (): array {
  \Drupal::configFactory()->getEditable('commerce_waybill.settings')->set('endpoint', '')->set('secret', '')->set('keys', [])->save();
  foreach (Key::loadMultiple(['waybill_out', 'waybill_in']) as $key) {
    $key->delete();
  }
  user_load_by_name('waybill')?->delete();
  return [];
};

echo json_encode(compact('prepare', 'point', 'order', 'last', 'outbox', 'due', 'ping', 'oauth', 'catalog', 'forget', 'restore')[$command](), JSON_THROW_ON_ERROR), "\n";
