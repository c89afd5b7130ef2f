<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_price\Price;
use Drupal\commerce_product\Entity\Product;
use Drupal\commerce_product\Entity\ProductVariation;
use Drupal\commerce_product\Entity\ProductVariationInterface;
use Drupal\commerce_waybill_checkout\Quote\QuotedTax;
use Drupal\commerce_waybill_checkout\Quote\QuoteRequest;
use Drupal\commerce_waybill_checkout\Quote\Quotes;
use Drupal\commerce_waybill_checkout\Stock\Reservations;
use Drupal\commerce_waybill_checkout\Stock\SyncedStock;
use Drupal\Core\DependencyInjection\ContainerBuilder;
use Drupal\field\Entity\FieldConfig;
use Drupal\field\Entity\FieldStorageConfig;
use Drupal\profile\Entity\Profile;
use Drupal\Tests\commerce_waybill\Kernel\WaybillKernelTestBase;
use GuzzleHttp\Exception\ConnectException;
use GuzzleHttp\Psr7\Request;
use GuzzleHttp\Psr7\Response;

/**
 * A shop whose variations have a stock, with a clock and locks of its own.
 */
abstract class CheckoutKernelTestBase extends WaybillKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected static $modules = [
    'field',
    'commerce_cart',
    'commerce_checkout',
    'commerce_waybill_checkout',
  ];

  /**
   * The lock of this process.
   */
  protected ShopLock $lock;

  /**
   * {@inheritdoc}
   */
  public function register(ContainerBuilder $container): void {
    parent::register($container);
    $container->getDefinition('datetime.time')->setClass(ShopTime::class);
  }

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->installSchema('commerce_waybill_checkout', [Reservations::TABLE]);
    $this->installConfig(['commerce_waybill_checkout']);
    FieldStorageConfig::create([
      'field_name' => 'field_stock',
      'entity_type' => 'commerce_product_variation',
      'type' => 'integer',
    ])->save();
    FieldConfig::create([
      'field_name' => 'field_stock',
      'entity_type' => 'commerce_product_variation',
      'bundle' => 'default',
    ])->save();
    $this->lock = new ShopLock($this->container->get('database'));
    $this->container->set('lock', $this->lock);
    // What was made before the mocked client and the lock were there.
    foreach ([QuoteRequest::class, Quotes::class, QuotedTax::class, 'commerce_order.order_refresh'] as $id) {
      $this->container->set($id, NULL);
    }
    $this->container->get('entity_type.manager')->clearCachedDefinitions();
    $this->declare(['stock_field' => 'field_stock']);
  }

  /**
   * Declares rules of the checkout.
   */
  protected function declare(array $settings): void {
    $config = $this->config('commerce_waybill_checkout.settings');
    foreach ($settings as $name => $value) {
      $config->set($name, $value);
    }
    $config->save();
  }

  /**
   * Lets time pass.
   */
  protected function pass(int $seconds): void {
    $this->container->get('datetime.time')->passed += $seconds;
  }

  /**
   * Makes a variation of 10 USD with a stock.
   */
  protected function variation(?int $stock, string $sku = 'SHIRT', array $values = []): ProductVariationInterface {
    $variation = ProductVariation::create($values + [
      'type' => 'default',
      'sku' => $sku,
      'price' => new Price('10.00', 'USD'),
      'field_stock' => $stock,
    ]);
    $variation->save();
    Product::create([
      'type' => 'default',
      'title' => ucfirst(strtolower($sku)),
      'stores' => [$this->store],
      'variations' => [$variation],
    ])->save();
    return $this->reloadEntity($variation);
  }

  /**
   * Makes a cart with so many of each variation.
   */
  protected function cartOf(int $quantity, ProductVariationInterface ...$variations): OrderInterface {
    $storage = $this->container->get('entity_type.manager')->getStorage('commerce_order_item');
    $items = [];
    foreach ($variations as $variation) {
      $item = $storage->createFromPurchasableEntity($variation, ['quantity' => (string) $quantity]);
      $item->save();
      $items[] = $item;
    }
    return $this->cart(['order_items' => $items]);
  }

  /**
   * Gives an order a billing profile with a whole address.
   */
  protected function address(OrderInterface $order): OrderInterface {
    $profile = Profile::create([
      'type' => 'customer',
      'uid' => 0,
      'address' => [
        'given_name' => 'Ada',
        'family_name' => 'Lovelace',
        'organization' => 'Engines',
        'address_line1' => '12 St James Square',
        'locality' => 'Greenville',
        'administrative_area' => 'SC',
        'postal_code' => '29616',
        'country_code' => 'US',
      ],
    ]);
    $profile->save();
    return $order->setBillingProfile($profile);
  }

  /**
   * Saves an order as the cart does: everything is computed anew.
   */
  protected function refresh(OrderInterface $order): OrderInterface {
    $order->setRefreshState(OrderInterface::REFRESH_ON_SAVE)->save();
    return $this->reloadEntity($order);
  }

  /**
   * Says how many may still be sold.
   */
  protected function left(ProductVariationInterface $variation, ?OrderInterface $asking = NULL): ?float {
    return $this->container->get(SyncedStock::class)->left($this->reloadEntity($variation), (int) $asking?->id());
  }

  /**
   * Reserves what an order wants.
   */
  protected function reserve(OrderInterface $order): ?array {
    return $this->container->get(Reservations::class)->reserve($order);
  }

  /**
   * Lists the reservations: order, variation, quantity.
   */
  protected function reserved(): array {
    $rows = $this->container->get('database')->select(Reservations::TABLE, 'r')
      ->fields('r', ['order_id', 'variation_id', 'quantity'])
      ->orderBy('order_id')
      ->orderBy('variation_id')
      ->execute();
    $describe = static fn (array $row): array => [(int) $row[0], (int) $row[1], (float) $row[2]];
    return array_map($describe, $rows->fetchAll(\PDO::FETCH_NUM));
  }

  /**
   * Makes the other system answer with an amount.
   */
  protected function amountAnswers(string $number, string $currency = 'USD'): void {
    $amount = ['number' => $number, 'currency_code' => $currency];
    $this->middleware->append(new Response(200, [], json_encode(['amount' => $amount])));
  }

  /**
   * Makes the other system not answer.
   */
  protected function nobodyAnswers(): void {
    $this->middleware->append(new ConnectException('Connection refused', new Request('POST', '/')));
  }

}
