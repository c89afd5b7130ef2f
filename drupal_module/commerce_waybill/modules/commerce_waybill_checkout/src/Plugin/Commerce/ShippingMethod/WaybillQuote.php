<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill_checkout\Plugin\Commerce\ShippingMethod;

use Drupal\commerce_price\Price;
use Drupal\commerce_shipping\Entity\ShipmentInterface;
use Drupal\commerce_shipping\PackageTypeManagerInterface;
use Drupal\commerce_shipping\Plugin\Commerce\ShippingMethod\ShippingMethodBase;
use Drupal\commerce_shipping\ShippingRate;
use Drupal\commerce_shipping\ShippingService;
use Drupal\commerce_waybill_checkout\Quote\OrderQuestion;
use Drupal\commerce_waybill_checkout\Quote\Quotes;
use Drupal\Core\Form\FormStateInterface;
use Drupal\state_machine\WorkflowManagerInterface;
use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * A rate that another system computes, with a declared fallback.
 *
 * @CommerceShippingMethod(
 *   id = "waybill_quote",
 *   label = @Translation("Waybill quote"),
 * )
 */
class WaybillQuote extends ShippingMethodBase {

  /**
   * Amounts from outside.
   */
  protected Quotes $quotes;

  /**
   * {@inheritdoc}
   */
  public function __construct(array $configuration, $plugin_id, $plugin_definition, PackageTypeManagerInterface $package_type_manager, WorkflowManagerInterface $workflow_manager) {
    parent::__construct($configuration, $plugin_id, $plugin_definition, $package_type_manager, $workflow_manager);
    $this->services['default'] = new ShippingService('default', $this->configuration['rate_label']);
  }

  /**
   * {@inheritdoc}
   */
  public static function create(ContainerInterface $container, array $configuration, $plugin_id, $plugin_definition) {
    $method = parent::create($container, $configuration, $plugin_id, $plugin_definition);
    $method->quotes = $container->get(Quotes::class);
    return $method;
  }

  /**
   * {@inheritdoc}
   */
  public function defaultConfiguration(): array {
    return ['rate_label' => '', 'service' => '', 'fallback' => NULL, 'services' => ['default']] + parent::defaultConfiguration();
  }

  /**
   * {@inheritdoc}
   */
  public function buildConfigurationForm(array $form, FormStateInterface $form_state): array {
    $form = parent::buildConfigurationForm($form, $form_state);
    $form['rate_label'] = [
      '#type' => 'textfield',
      '#title' => $this->t('Rate label'),
      '#description' => $this->t('Shown to customers when they choose.'),
      '#default_value' => $this->configuration['rate_label'],
      '#required' => TRUE,
    ];
    $form['service'] = [
      '#type' => 'textfield',
      '#title' => $this->t('Service'),
      '#description' => $this->t('What the other system calls this service, such as "express". It is part of the question.'),
      '#default_value' => $this->configuration['service'],
      '#maxlength' => 64,
    ];
    $fallback = $this->configuration['fallback'];
    $form['fallback'] = [
      '#type' => 'commerce_price',
      '#title' => $this->t('Amount when nobody answers'),
      '#description' => $this->t('Without one, and for orders in another currency, this method is not offered while the other system is away.'),
      // The form element of Commerce may hand over half a price.
      '#default_value' => isset($fallback['number'], $fallback['currency_code']) ? $fallback : NULL,
    ];
    return $form;
  }

  /**
   * {@inheritdoc}
   */
  public function submitConfigurationForm(array &$form, FormStateInterface $form_state): void {
    parent::submitConfigurationForm($form, $form_state);
    if (!$form_state->getErrors()) {
      $values = $form_state->getValue($form['#parents']);
      $this->configuration['rate_label'] = $values['rate_label'];
      $this->configuration['service'] = trim($values['service']);
      $this->configuration['fallback'] = ($values['fallback']['number'] ?? '') === '' ? NULL : $values['fallback'];
    }
  }

  /**
   * {@inheritdoc}
   */
  public function calculateRates(ShipmentInterface $shipment): array {
    $order = $shipment->getOrder();
    $currency = $order->getTotalPrice()?->getCurrencyCode() ?? $order->getStore()->getDefaultCurrencyCode();
    $question = OrderQuestion::aboutShipping($shipment, $this->configuration['service']);
    $amount = $question ? $this->quotes->amount('shipping', $question, $currency) : NULL;
    $amount ??= $this->fallback($currency);
    if ($amount === NULL) {
      return [];
    }
    return [
      new ShippingRate([
        'shipping_method_id' => $this->parentEntity->id(),
        'service' => $this->services['default'],
        'amount' => $amount,
      ]),
    ];
  }

  /**
   * Gives the declared amount, when the order can be charged with it.
   */
  private function fallback(string $currency): ?Price {
    $fallback = $this->configuration['fallback'];
    return $fallback && $fallback['currency_code'] === $currency ? Price::fromArray($fallback) : NULL;
  }

}
