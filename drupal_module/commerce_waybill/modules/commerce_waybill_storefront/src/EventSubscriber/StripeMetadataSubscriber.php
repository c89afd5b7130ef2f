<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_storefront\EventSubscriber;

use Drupal\commerce_stripe\Event\PaymentIntentEvent;
use Symfony\Component\EventDispatcher\EventSubscriberInterface;

/**
 * Lets a payment carry the order's uuid, which is its correlation id.
 *
 * The cart has it from its first moment; Stripe's webhooks bring it back.
 *
 * @see https://docs.stripe.com/api/payment_intents/create#create_payment_intent-metadata
 */
class StripeMetadataSubscriber implements EventSubscriberInterface {

  /**
   * {@inheritdoc}
   */
  public static function getSubscribedEvents(): array {
    // By name: commerce_stripe need not be there.
    return ['commerce_stripe.payment_intent_create' => ['onCreate']];
  }

  /**
   * Adds the uuid to the payment intent's metadata.
   */
  public function onCreate(PaymentIntentEvent $event): void {
    $attributes = $event->getIntentAttributes();
    $uuid = $event->getOrder()->uuid();
    $attributes['metadata'] = ['order_uuid' => $uuid, 'correlation_id' => $uuid] + ($attributes['metadata'] ?? []);
    $event->setIntentAttributes($attributes);
  }

}
