<?php

declare(strict_types=1);

namespace Drupal\Tests\commerce_waybill_checkout\Kernel;

use Drupal\commerce\Context;
use Drupal\commerce_order\Adjustment;
use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_price\Price;

/**
 * The tax of an order, and where its figure comes from.
 *
 * @group commerce_waybill
 */
class TaxTest extends CheckoutKernelTestBase {

  /**
   * {@inheritdoc}
   */
  protected function setUp(): void {
    parent::setUp();
    $this->declare([
      'quote_endpoint' => 'https://waybill.example/quotes',
      'tax' => TRUE,
      'tax_fallback_percentage' => '8.25',
    ]);
  }

  /**
   * The tax that was asked for, with its source.
   */
  public function testTheQuotedTaxIsAdded(): void {
    $this->amountAnswers('1.65');
    $order = $this->refresh($this->address($this->cartOf(2, $this->variation(5))));
    self::assertSame([['tax', 'Tax', '1.65 USD', FALSE, 'waybill_quote']], $this->adjustments($order));
    self::assertSame('21.65 USD', $this->total($order));
  }

  /**
   * A tax of zero is known, which is something else than nothing.
   */
  public function testTheTaxOfZeroIsSaid(): void {
    $this->amountAnswers('0');
    $order = $this->refresh($this->address($this->cart()));
    self::assertSame([['tax', 'Tax', '0 USD', FALSE, 'waybill_quote']], $this->adjustments($order));
  }

  /**
   * Nobody answers: the declared percentage, and the order says so.
   */
  public function testTheFallbackIsAdded(): void {
    $this->nobodyAnswers();
    $order = $this->refresh($this->address($this->cart()));
    self::assertSame([['tax', 'Tax', '1.73 USD', FALSE, 'waybill_fallback']], $this->adjustments($order));
    self::assertSame('22.73 USD', $this->total($order));
  }

  /**
   * Nobody answers, and nothing is declared.
   */
  public function testWithoutFallbackThereIsNoTax(): void {
    $this->declare(['tax_fallback_percentage' => '']);
    $this->nobodyAnswers();
    self::assertSame([], $this->adjustments($this->refresh($this->address($this->cart()))));
  }

  /**
   * The fallback comes after promotions and fees.
   */
  public function testTheFallbackIsOfWhatTheOrderCosts(): void {
    $this->declare(['quote_endpoint' => '']);
    $order = $this->address($this->cart());
    $this->adjust($order->getItems()[0], 'promotion', '-6.00');
    $this->adjust($order, 'fee', '5.00');
    $order = $this->refresh($order);
    self::assertSame(['fee', 'tax'], array_column($this->adjustments($order), 0));
    self::assertSame(['1.65 USD', '21.65 USD'], [$this->adjustments($order)[1][2], $this->total($order)]);
  }

  /**
   * Goods and destination: the whole question, and nothing about the customer.
   */
  public function testTheQuestionNamesNobody(): void {
    $order = $this->address($this->cartOf(2, $this->variation(5)));
    $engraved = $this->cart()->getItems()[0];
    $engraved->set('title', 'Engraving: for Ada Lovelace')->save();
    $order->addItem($engraved);
    $this->adjust($order->getItems()[0], 'promotion', '-6.00');
    $this->amountAnswers('1');
    $this->refresh($order);
    self::assertSame([
      [
        'kind' => 'tax',
        'currency_code' => 'USD',
        'question' => [
          'store' => (string) $this->store->id(),
          'destination' => ['country_code' => 'US', 'administrative_area' => 'SC', 'postal_code' => '29616'],
          'lines' => [
            ['sku' => 'SHIRT', 'quantity' => '2', 'total' => ['number' => '14', 'currency_code' => 'USD']],
            ['sku' => '', 'quantity' => '2', 'total' => ['number' => '21', 'currency_code' => 'USD']],
          ],
          'shipping' => NULL,
        ],
      ],
    ], $this->bodies());
    $sent = (string) $this->posted[0]['request']->getBody();
    foreach (['ada', 'lovelace', 'example.com', 'james', 'greenville', 'engines'] as $personal) {
      self::assertStringNotContainsStringIgnoringCase($personal, $sent);
    }
  }

  /**
   * While nobody knows where the order goes, nobody asks.
   */
  public function testWithoutDestinationNobodyAsks(): void {
    self::assertSame([], $this->adjustments($this->refresh($this->cart())));
    self::assertSame([], $this->posted);
  }

  /**
   * Where it is not declared, nobody asks.
   */
  public function testWithoutDeclarationNobodyAsks(): void {
    $this->declare(['tax' => FALSE]);
    self::assertSame([], $this->adjustments($this->refresh($this->address($this->cart()))));
    self::assertSame([], $this->posted);
  }

  /**
   * Prices on product pages never ask.
   */
  public function testProductPagesNeverAsk(): void {
    $context = new Context($this->createUser(), $this->store);
    $result = $this->container->get('commerce_order.price_calculator')->calculate($this->variation(5), '1', $context, ['tax']);
    self::assertSame(['10 USD', []], [(string) $result->getCalculatedPrice(), $this->posted]);
  }

  /**
   * The checkout with the middleware down: quotes and events both fail.
   */
  public function testTheOrderIsPlacedWhileTheMiddlewareIsDown(): void {
    $variation = $this->variation(5);
    $order = $this->address($this->cartOf(2, $variation));
    self::assertSame([], $this->reserve($order));
    $this->nobodyAnswers();
    $order = $this->place($this->refresh($order));
    $this->nobodyAnswers();
    $this->endRequest();
    self::assertSame(['completed', '21.65 USD'], [$order->getState()->getId(), $this->total($order)]);
    self::assertSame([['tax', 'Tax', '1.65 USD', FALSE, 'waybill_fallback']], $this->adjustments($order));
    self::assertSame([3.0, []], [$this->left($variation), $this->reserved()]);
    self::assertSame([['order.placed', $order->getVersion(), 'pending']], $this->outbox());
    self::assertSame(
      ['https://waybill.example/quotes', 'https://waybill.example/webhooks/shop'],
      array_map(static fn (array $exchange): string => (string) $exchange['request']->getUri(), $this->posted),
    );
  }

  /**
   * Adds an adjustment that a refresh keeps.
   */
  private function adjust(object $to, string $type, string $amount): void {
    $to->addAdjustment(new Adjustment([
      'type' => $type,
      'label' => ucfirst($type),
      'amount' => new Price($amount, 'USD'),
      'locked' => TRUE,
    ]));
    $to->save();
  }

  /**
   * Lists the order's adjustments: type, label, amount, included, source.
   */
  private function adjustments(OrderInterface $order): array {
    return array_map(static fn (Adjustment $one): array => [
      $one->getType(),
      $one->getLabel(),
      (string) $one->getAmount(),
      $one->isIncluded(),
      $one->getSourceId(),
    ], $order->getAdjustments());
  }

  /**
   * Gives what an order costs, as its currency is written.
   */
  private function total(OrderInterface $order): string {
    return (string) $this->container->get('commerce_price.rounder')->round($order->getTotalPrice());
  }

}
