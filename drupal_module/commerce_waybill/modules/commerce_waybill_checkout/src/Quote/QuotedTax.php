<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Quote;

use Drupal\commerce_order\Adjustment;
use Drupal\commerce_order\Entity\OrderInterface;
use Drupal\commerce_order\OrderProcessorInterface;
use Drupal\commerce_price\Price;
use Drupal\commerce_price\RounderInterface;
use Drupal\Core\Config\ConfigFactoryInterface;
use Drupal\Core\StringTranslation\StringTranslationTrait;

/**
 * Adds the tax that another system computed, or the declared fallback.
 */
class QuotedTax implements OrderProcessorInterface {

  use StringTranslationTrait;

  public function __construct(
    private readonly Quotes $quotes,
    private readonly RounderInterface $rounder,
    private readonly ConfigFactoryInterface $configFactory,
  ) {}

  /**
   * {@inheritdoc}
   */
  public function process(OrderInterface $order): void {
    $settings = $this->configFactory->get('commerce_waybill_checkout.settings');
    // Promotions changed lines without a new total.
    $total = $settings->get('tax') ? $order->recalculateTotalPrice()->getTotalPrice() : NULL;
    $question = $total ? OrderQuestion::aboutTax($order) : NULL;
    if ($question === NULL) {
      return;
    }
    $amount = $this->quotes->amount('tax', $question, $total->getCurrencyCode());
    // Says in the order itself how the figure came about.
    $source = $amount ? 'waybill_quote' : 'waybill_fallback';
    $amount ??= $this->fallback($total, (string) $settings->get('tax_fallback_percentage'));
    if ($amount !== NULL) {
      $order->addAdjustment(new Adjustment([
        'type' => 'tax',
        'label' => $this->t('Tax'),
        'amount' => $amount,
        'source_id' => $source,
      ]));
    }
  }

  /**
   * Computes the declared percentage of what the order costs without tax.
   */
  private function fallback(Price $total, string $percentage): ?Price {
    return is_numeric($percentage) ? $this->rounder->round($total->multiply($percentage)->divide('100')) : NULL;
  }

}
